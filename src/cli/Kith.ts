/** The command `kith`: its verbs, in the order in which help lists them. */
import * as CliConfig from "effect/cli/CliConfig"
import * as Command from "effect/cli/Command"
import * as Generated from "effect/cli/Completions"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { programVersion } from "../config.ts"
import { accept } from "./accept.ts"
import { alarms } from "./alarms.ts"
import { add } from "./add.ts"
import { block, unblock } from "./block.ts"
import { cancel } from "./cancel.ts"
import { chat } from "./chat.ts"
import { complete } from "./complete.ts"
import * as Completions from "./Completions.ts"
import { decline } from "./decline.ts"
import { doctor } from "./doctor.ts"
import { history } from "./history.ts"
import { id } from "./id.ts"
import { invite } from "./invite.ts"
import { join } from "./join.ts"
import { open } from "./open.ts"
import * as Output from "./Output.ts"
import { pause } from "./pause.ts"
import { peers } from "./peers.ts"
import { priority } from "./priority.ts"
import { remove } from "./remove.ts"
import { resume } from "./resume.ts"
import { say } from "./say.ts"
import { send } from "./send.ts"
import { set } from "./set.ts"
import { transfers } from "./transfers.ts"
import { up } from "./up.ts"
import { root } from "./Verb.ts"
import { verify } from "./verify.ts"

export const run = Command.runWith(
  root.pipe(
    Command.withSubcommands([
      up,
      id,
      peers,
      add,
      remove,
      verify,
      invite,
      join,
      block,
      unblock,
      say,
      chat,
      history,
      send,
      transfers,
      accept,
      decline,
      pause,
      resume,
      priority,
      cancel,
      set,
      alarms,
      open,
      doctor,
      complete
    ])
  ),
  { version: programVersion }
)

/** The parser's own flag, with a script that also knows what a running node does. */
const completions: typeof GlobalFlag.Completions = {
  ...GlobalFlag.Completions,
  run: (shell, { command }) =>
    Option.match(shell, {
      onNone: () => Effect.void,
      onSome: (known) => Effect.orDie(Output.line(Completions.scriptOf(known, Generated.fromCommand(command))))
    })
}

/** The log level is a setting of ours, with its variable; a wizard nobody asked for is left out. */
export const config = CliConfig.layer({
  builtIns: [GlobalFlag.Help, GlobalFlag.Version, completions]
})
