/** The command `kith`: its verbs, in the order in which help lists them. */
import * as CliConfig from "effect/cli/CliConfig"
import * as Command from "effect/cli/Command"
import * as Generated from "effect/cli/Completions"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { programVersion } from "../config.ts"
import { accept } from "./verbs/accept.ts"
import { alarms } from "./verbs/alarms.ts"
import { add } from "./verbs/add.ts"
import { block, unblock } from "./verbs/block.ts"
import { cancel } from "./verbs/cancel.ts"
import { chat } from "./verbs/chat.ts"
import { complete } from "./verbs/complete.ts"
import * as Completions from "./Completions.ts"
import { decline } from "./verbs/decline.ts"
import { doctor } from "./verbs/doctor.ts"
import { history } from "./verbs/history.ts"
import { id } from "./verbs/id.ts"
import { invite } from "./verbs/invite.ts"
import { join } from "./verbs/join.ts"
import { open } from "./verbs/open.ts"
import * as Output from "./Output.ts"
import { pause } from "./verbs/pause.ts"
import { peers } from "./verbs/peers.ts"
import { priority } from "./verbs/priority.ts"
import { remove } from "./verbs/remove.ts"
import { resume } from "./verbs/resume.ts"
import { say } from "./verbs/say.ts"
import { send } from "./verbs/send.ts"
import { set } from "./verbs/set.ts"
import { transfers } from "./verbs/transfers.ts"
import { up } from "./verbs/up.ts"
import { root } from "./Verb.ts"
import { verify } from "./verbs/verify.ts"

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
