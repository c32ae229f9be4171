/**
 * What the database costs: opening, writing one after the other and many at once, and reading among a million
 * messages, with the longest time during which nothing else could run.
 *
 *     node bench/database.ts [messages] [directory]
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { layerFile } from "../src/services/Database.ts"
import { type Arrival, MessageStore } from "../src/services/MessageStore.ts"
import { PeerStore } from "../src/services/PeerStore.ts"
import { someEpoch, someId, someMessage } from "../test/Some.ts"

const count = Number(process.argv[2] ?? 1_000_000)
const directory = mkdtempSync(join(process.argv[3] ?? tmpdir(), "kith-bench-"))
const path = join(directory, "kith.db")
const stores = () => Layer.mergeAll(MessageStore.layer, PeerStore.layer).pipe(Layer.provideMerge(layerFile(path)))

/** Words as people use them: few often, many seldom. The same at every run. */
let state = 1
const chance = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return state / 2 ** 32
}
const wordAt = (n: number): string => {
  let word = ""
  for (let rest = n + 30; rest > 0; rest = Math.floor(rest / 20)) word += "etaoinshrdlucmfwypvb".charAt(rest % 20)
  return word
}
const text = (): string =>
  Array.from({ length: 12 }, () => (chance() < 0.1 ? "the" : wordAt(Math.floor(50_000 ** chance())))).join(" ")

const self = someId(0)
const arrival = (peer: number, seq: number): Arrival => ({
  peer: someId(peer),
  to: seq % 3 === 0 ? null : self,
  id: someMessage(peer * 10_000_000 + seq),
  epoch: someEpoch(peer),
  first: 1,
  seq,
  sentAt: 1_700_000_000_000 + seq,
  text: text()
})

/** Runs it, and says how long it took and for how long at most nothing else could run. */
const timed = <A, E, R>(name: string, many: number, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    // Its first reading must come before what is measured.
    yield* Effect.sleep("5 millis")
    const start = performance.now()
    const before = process.cpuUsage()
    const result = yield* effect
    const took = performance.now() - start
    const { system, user } = process.cpuUsage(before)
    const cpu = `${((system + user) / 1000).toFixed(1).padStart(8)} ms CPU`
    yield* Effect.sleep("5 millis")
    delay.disable()
    const rate = many > 1 ? `${Math.round((many / took) * 1000)}/s` : ""
    const blocked = `blocked at most ${(delay.max / 1e6).toFixed(1)} ms`
    console.log(`${name.padEnd(58)} ${took.toFixed(1).padStart(9)} ms ${cpu}  ${rate.padEnd(10)} ${blocked}`)
    return result
  })

const opened = (name: string) => timed(name, 1, Effect.scoped(Layer.build(stores())))

const peers = 50
const batch = 256
const fill = Effect.gen(function* () {
  const store = yield* MessageStore
  let took = 0
  for (let done = 0; done < count;) {
    const arrivals: Array<Arrival> = []
    for (let i = 0; i < batch && done < count; i++, done++) {
      // One peer of whom there is little.
      const peer = done % 1000 === 999 ? peers + 1 : (done % peers) + 1
      const seq = (next.get(peer) ?? 0) + 1
      next.set(peer, seq)
      arrivals.push(arrival(peer, seq))
    }
    const start = performance.now()
    yield* store.receive(arrivals)
    took += performance.now() - start
  }
  console.log(`of which in the store: ${Math.round(took)} ms, ${Math.round((count / took) * 1000)}/s`)
})
const next = new Map<number, number>()

const say = (n: number) =>
  Effect.flatMap(MessageStore, (store) =>
    store.append(
      {
        id: someMessage(900_000_000 + n),
        from: self,
        to: someId(1),
        text: text(),
        sentAt: n,
        state: "queued",
        recipients: [{ peer: someId(1), state: "queued" }]
      },
      [someEpoch(0)]
    )
  )

const program = Effect.gen(function* () {
  yield* opened("open, a new file")
  for (let i = 0; i < 3; i++) yield* opened("open, a file that is there")
  yield* Effect.gen(function* () {
    const store = yield* MessageStore
    yield* timed(
      "say, one after the other",
      500,
      Effect.forEach(
        Array.from({ length: 500 }, (_, n) => n),
        say
      )
    )
    yield* timed(
      "say, 5,000 at once",
      5000,
      Effect.forEach(
        Array.from({ length: 5000 }, (_, n) => 1000 + n),
        say,
        { concurrency: "unbounded" }
      )
    )
    yield* timed(
      "acknowledge 1,000",
      1,
      store.advance(someId(1), { epoch: someEpoch(0), seq: 1000, state: "delivered" })
    )
    yield* timed(`receive ${count}, ${batch} at a time`, count, fill)
    const unknown = Array.from({ length: 20_000 }, (_, n) => [arrival(peers + 2, n + 1)])
    yield* timed(
      "receive 20,000, each by a caller of its own",
      20_000,
      Effect.forEach(unknown, store.receive, { concurrency: "unbounded", discard: true })
    )
    console.log(`the file has ${Math.round(statSync(path).size / 2 ** 20)} MiB`)
    for (const round of ["cold", "warm"]) {
      console.log(round)
      yield* timed("history, newest 100", 1, store.history({ limit: 100 }))
      yield* timed("history, newest 1,000", 1, store.history({ limit: 1000 }))
      yield* timed("history, 100 from the middle", 1, store.history({ limit: 100, before: count / 2 }))
      yield* timed("history, 100 with a peer", 1, store.history({ limit: 100, peer: someId(7) }))
      yield* timed("history, 100 with a peer of few", 1, store.history({ limit: 100, peer: someId(peers + 1) }))
      for (const query of ["the", "eta", "eat the", '"the the"', "e", "zzzz", wordAt(40_000), "the eat nothing"]) {
        yield* timed(`search ${query}`, 1, store.search(query, { limit: 50 }))
      }
      yield* timed("search the, from the middle", 1, store.search("the", { limit: 50, before: count / 2 }))
      yield* timed("search the, with a peer of few", 1, store.search("the", { limit: 50, peer: someId(peers + 1) }))
      yield* timed("unread", 1, store.unread)
      yield* timed("outboxes", 1, store.outboxes)
    }
    const page = yield* store.history({ limit: 1, peer: someId(3) })
    const newest = Option.fromUndefinedOr(page.items[0])
    if (Option.isSome(newest)) yield* timed("mark all of a peer as read", 1, store.markRead(someId(3), newest.value.id))
  }).pipe(Effect.provide(stores()))
  yield* opened("open, the full file")
})

await Effect.runPromise(
  Effect.ensuring(
    program,
    Effect.sync(() => rmSync(directory, { recursive: true }))
  )
)
