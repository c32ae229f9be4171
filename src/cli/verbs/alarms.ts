/** `kith alarms`: what a person must see, also what happened while nobody looked; and putting it away. */
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Alarm, UnknownAlarm } from "../../schema/Alarm.ts"
import { inert } from "../../schema/Text.ts"
import { shortLength } from "../Account.ts"
import type { Client } from "../Client.ts"
import { Failed } from "../Ending.ts"
import * as Output from "../Output.ts"
import { json, withNode } from "../Verb.ts"

/** An alarm as a line. Pure. */
export const lineOf = (alarm: Alarm): string =>
  `${alarm.id.slice(0, shortLength)}  ${Output.moment(alarm.at)}  ${inert(alarm.text)}`

/** How many wait to be seen, in a line for other verbs; "" where none does. Pure. */
export const reminder = (alarms: ReadonlyArray<Alarm>): string =>
  alarms.length === 0 ? "" : `ALARM: ${Output.count(alarms.length, "alarm")} not put away yet; see: kith alarms`

/** Those that are meant by an id, the beginning of one, or `all`. */
const meant = (open: ReadonlyArray<Alarm>, query: string) => {
  if (query === "all") return Effect.succeed(open)
  const found = open.filter(({ id }) => query !== "" && id.startsWith(query.toLowerCase()))
  if (found.length === 0) return Effect.fail(new UnknownAlarm({ id: query }))
  const candidates = found.map(({ id }) => id.slice(0, shortLength + 4)).join(", ")
  return found.length === 1
    ? Effect.succeed(found)
    : Effect.fail(new Failed({ problem: `"${query}" may be any of ${candidates}. Give more of the id` }))
}

const dismiss = Effect.fnUntraced(function* (client: Client, query: string) {
  const alarms = yield* meant(yield* client.alarms.list(), query)
  for (const { id } of alarms) yield* client.alarms.dismiss({ params: { id } })
  return alarms
})

export const alarms = Command.make(
  "alarms",
  {
    json,
    dismiss: CliFlag.String("dismiss").pipe(
      CliFlag.withMetavar("ID"),
      CliFlag.withDescription("Put one away, by its id or the beginning of it; all: every one"),
      CliFlag.optional
    )
  },
  Effect.fn("cli.alarms")(function* ({ dismiss: query, json }) {
    if (Option.isSome(query)) {
      const gone = yield* withNode((client) => dismiss(client, query.value))
      if (json) return yield* Output.json(gone)
      return yield* Output.line(`put away: ${Output.count(gone.length, "alarm")}`)
    }
    const open = yield* withNode((client) => client.alarms.list())
    if (json) return yield* Output.json(open)
    if (open.length === 0) return yield* Output.line("no alarms")
    for (const alarm of open) yield* Output.line(lineOf(alarm))
    yield* Output.note("Understood? Put one away with: kith alarms --dismiss ID")
  })
).pipe(
  Command.withDescription("List what must be seen: a key that changed, an identity that is in use twice"),
  Command.withShortDescription("List alarms, or put them away"),
  Command.withExamples([{ command: "kith alarms" }, { command: "kith alarms --dismiss 4k2m" }])
)
