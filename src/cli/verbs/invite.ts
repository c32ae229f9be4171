/** `kith invite`: prints a ticket, by which one other node becomes a verified peer, as text and as a QR code. */
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Usage } from "../Ending.ts"
import * as Output from "../Output.ts"
import { json, withNode } from "../Verb.ts"

const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** Seconds in `90s`, `10m`, `2h` or `1d`; undefined for anything else. Pure. */
const secondsOf = (text: string): number | undefined => {
  const [, count = "", unit = ""] = /^(\d{1,7})\s*([smhd])$/.exec(text.trim().toLowerCase()) ?? []
  const seconds = Number(count) * (unitSeconds[unit] ?? 0)
  return seconds > 0 ? seconds : undefined
}

export const invite = Command.make(
  "invite",
  {
    json,
    expires: CliFlag.String("expires").pipe(
      CliFlag.withMetavar("TIME"),
      CliFlag.withDescription("How long it is good: 90s, 10m, 2h, 1d; the default is 10m"),
      CliFlag.optional
    )
  },
  Effect.fn("cli.invite")(function* ({ expires, json }) {
    const typed = Option.getOrUndefined(expires)
    const seconds = typed === undefined ? undefined : secondsOf(typed)
    if (typed !== undefined && seconds === undefined) {
      return yield* new Usage({
        problem: `--expires is "${typed}"; allowed is a time such as 90s, 10m, 2h or 1d`,
        see: "kith invite --help"
      })
    }
    const made = yield* withNode((client) =>
      client.trust.invite({ payload: seconds === undefined ? {} : { expires: seconds } })
    )
    if (json) return yield* Output.json(made)
    // Beside a pipe the text alone is what is wanted.
    if (process.stdout.isTTY) {
      const { renderUnicodeCompact } = yield* Effect.promise(() => import("uqr"))
      // Upper case fits a QR code in half the space.
      yield* Output.line(renderUnicodeCompact(made.ticket.toUpperCase(), { ecc: "L", border: 2 }))
    }
    yield* Output.line(made.ticket)
    const until = new Date(made.expires).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })
    yield* Output.note(`On the other machine: kith join TICKET. It is good once, until ${until}.`)
    yield* Output.note("Whoever has this text can become a verified peer: hand it to nobody else.")
  })
).pipe(
  Command.withDescription("Print a ticket that connects and verifies one other node"),
  Command.withExamples([{ command: "kith invite" }, { command: "kith invite --expires 1h" }])
)
