/** `kith open`: the page in the browser, by a link with a code that works once and for a minute. */
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Output from "../Output.ts"
import { json, withNode } from "../Verb.ts"

export const open = Command.make(
  "open",
  {
    json,
    print: CliFlag.Boolean("print").pipe(
      CliFlag.withoutNegation,
      CliFlag.withDescription("Only print the link"),
      CliFlag.withDefault(false)
    )
  },
  Effect.fn("cli.open")(function* ({ json, print }) {
    const link = yield* withNode((client) => client.code())
    if (json) return yield* Output.json(link)
    if (print) return yield* Output.line(link.url)
    const { browse } = yield* Effect.promise(() => import("../Browser.ts"))
    const opened = yield* browse(link.url)
    if (opened) return yield* Output.line("opened in the browser; if nothing appears: kith open --print")
    yield* Output.note("no browser could be opened; open this link within a minute:")
    yield* Output.line(link.url)
  })
).pipe(
  Command.withDescription("Open the page of this node in the browser"),
  Command.withExamples([{ command: "kith open" }, { command: "kith open --print" }])
)
