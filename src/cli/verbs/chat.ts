/** `kith chat`: a conversation on the terminal, or over a pipe. Loads what it needs only when it is used. */
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { peerFlag, withNode } from "../Verb.ts"

export const chat = Command.make(
  "chat",
  {
    to: peerFlag("to", "Whom to talk to; without it, everyone").pipe(CliFlag.optional)
  },
  Effect.fn("cli.chat")(function* ({ to }) {
    const { converse } = yield* Effect.promise(() => import("../Conversation.ts"))
    yield* withNode((client) => converse(client, Option.getOrNull(to)))
  })
).pipe(
  Command.withDescription(
    "Talk: what others say appears while you type. /to PEER, /to, /who, /send PATH..., /accept, /decline, /quit"
  ),
  Command.withShortDescription("Talk, on the terminal or over a pipe"),
  Command.withExamples([
    { command: "kith chat" },
    { command: "kith chat --to bob" },
    { command: "echo done | kith chat --to bob" }
  ])
)
