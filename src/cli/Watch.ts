/**
 * `--watch`: what there is, then what changes, until the node stops or nobody reads any more. As JSON each line is one
 * event of schema/Event, and what there is at the beginning comes as events too: who reads them needs no list before.
 */
import * as Effect from "effect/Effect"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { SchemaError } from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Event } from "../schema/Event.ts"
import type { Client } from "./Client.ts"
import { Failed } from "./Ending.ts"
import * as Output from "./Output.ts"
import { withNode } from "./Verb.ts"

const stopped = new Failed({ problem: "the node has stopped" })

interface Watched<E> {
  readonly json: boolean
  /** What there is, as events. */
  readonly first: (client: Client) => Effect.Effect<ReadonlyArray<Event>, E | HttpClientError | SchemaError>
  readonly isWanted: (event: Event) => boolean
  /** How an event is told to a person; made anew where names may have changed. "" is not told. */
  readonly show: (client: Client) => Effect.Effect<(event: Event) => string, E | HttpClientError | SchemaError>
}

/** Subjects whose last line is kept, to tell news from what was told: as many as there can be peers. */
const subjectsMax = 4096

export const watching = <E>(watched: Watched<E>) =>
  withNode(
    Effect.fnUntraced(function* (client) {
      // Watching begins before the list is read, so that nothing falls between the two.
      const events = yield* client.node.events({ headers: {} })
      let show = yield* watched.show(client)
      let areNamesOld = false
      const told = new Map<string, string>()
      const tell = Effect.fnUntraced(function* (event: Event) {
        if (watched.json) return yield* Output.jsonLine(event)
        if (areNamesOld) {
          areNamesOld = false
          show = yield* watched.show(client)
        }
        const line = show(event)
        // What looks as it looked before is no news to a person.
        const key = subjectOf(event)
        if (line === "" || (key !== undefined && told.get(key) === line)) return
        if (key !== undefined) {
          told.delete(key)
          told.set(key, line)
          const [oldest] = told.keys()
          if (told.size > subjectsMax && oldest !== undefined) told.delete(oldest)
        }
        if (event._tag === "PeerRemoved") told.delete(event.id)
        yield* Output.line(line)
      })
      const tellAll = Effect.fnUntraced(function* () {
        for (const event of yield* watched.first(client)) yield* tell(event)
      })
      const following = events.pipe(
        Stream.runForEach(
          Effect.fnUntraced(function* ({ data }) {
            if (data._tag === "PeerChanged" || data._tag === "PeerRemoved" || data._tag === "Missed") areNamesOld = true
            if (data._tag === "Missed") {
              if (watched.json) yield* tell(data)
              return yield* tellAll()
            }
            if (watched.isWanted(data)) yield* tell(data)
          })
        ),
        // However the stream of events breaks, it means the same to the person who watches.
        Effect.mapError((error) => (error instanceof Output.Unwritten ? error : stopped)),
        Effect.andThen(stopped)
      )
      yield* Effect.raceFirst(Effect.andThen(tellAll(), following), Output.unread)
    })
  )

/** What an event is about, so that later ones can be compared with it. */
const subjectOf = (event: Event): string | undefined => {
  switch (event._tag) {
    case "PeerChanged":
      return event.peer.id
    case "TransferChanged":
      return event.transfer.id
    case "MessageAdded":
    case "MessageChanged":
      return `${event.message.from} ${event.message.id}`
    default:
      return undefined
  }
}
