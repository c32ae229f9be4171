/** Messages between real nodes that are killed with SIGKILL: each arrives once and in order, whoever dies and when. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { ended } from "../cli/Nodes.ts"
import { run, start } from "../cli/Run.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-crash-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** A node that meets nobody by itself, and takes this port. */
const up = Effect.fnUntraced(function* (dataDir: string, name: string, port = "0") {
  const where = ["--host", "127.0.0.1", "--port", port, "--api-port", "0"]
  const received = join(dataDir, "received_files")
  const node = yield* start([
    "up",
    "--data-dir",
    dataDir,
    "--received",
    received,
    "--name",
    name,
    "--no-discovery",
    ...where
  ])
  yield* node.until((printed) => printed.includes("API "))
  return {
    child: node.child,
    ended: node.ended,
    kith: (...verb: ReadonlyArray<string>) => run(["--data-dir", dataDir, ...verb]),
    port: /listens on +\S+:(\d+)/.exec(node.out)?.[1] ?? ""
  }
})

type Node = Effect.Success<ReturnType<typeof up>>
interface Shown {
  readonly text: string
  readonly state: string
}

const kill = Effect.fnUntraced(function* (node: Node) {
  node.child.kill("SIGKILL")
  yield* ended(node)
})

const done = Effect.fnUntraced(function* (node: Node, ...verb: ReadonlyArray<string>) {
  const { code, err, out } = yield* node.kith(...verb)
  assert.strictEqual(code, 0, `${verb.join(" ")}: ${err}${out}`)
  return out
})

const history = (node: Node) =>
  Effect.map(done(node, "history", "--json"), (out): ReadonlyArray<Shown> => JSON.parse(out))

/** Asks until it is so, as a person would; a minute is for ever. */
const until = <E, R>(what: string, ask: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    for (const end = performance.now() + 60_000; performance.now() < end;) {
      if (yield* ask) return
      yield* Effect.promise(() => delay(50))
    }
    return yield* Effect.die(new Error(`${what}: not within a minute`))
  })

const allDelivered = (node: Node) =>
  Effect.map(history(node), (messages) => messages.every(({ state }) => state === "delivered"))

/** Two nodes that know each other. They keep their ports, so that they are found where they were. */
const pair = Effect.gen(function* () {
  const [home, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
  const alice = yield* up(home, "alice")
  const bob = yield* up(other, "bob")
  yield* done(alice, "add", `127.0.0.1:${bob.port}`)
  return { alice, bob, aliceAgain: up(home, "alice", alice.port), bobAgain: up(other, "bob", bob.port) }
})

describe("kill -9", () => {
  it.live("of the sender, with messages for a peer that is away: both start, and each is delivered once", () =>
    Effect.gen(function* () {
      const { alice, aliceAgain, bob, bobAgain } = yield* pair
      yield* done(alice, "say", "before", "--to", "bob")
      yield* kill(bob)
      const texts = ["one", "two 👋", "three"]
      for (const text of texts) assert.include(yield* done(alice, "say", text, "--to", "bob"), "waiting for bob")
      yield* kill(alice)
      const again = yield* aliceAgain
      assert.deepStrictEqual(
        (yield* history(again)).map(({ state }) => state),
        ["delivered", "queued", "queued", "queued"]
      )
      const back = yield* bobAgain
      yield* until("all is delivered", allDelivered(again))
      assert.deepStrictEqual(
        (yield* history(back)).map(({ text }) => text),
        ["before", ...texts]
      )
    })
  )

  it.live("of the receiver, between and amid messages: none is lost, and none is shown twice", () =>
    Effect.gen(function* () {
      const { alice, bob, bobAgain } = yield* pair
      const said: Array<string> = []
      const say = Effect.fnUntraced(function* (count: number) {
        // At the same time: whichever order they take, it is the one that is kept.
        const texts = Array.from({ length: count }, () => `message ${said.length}.${Math.random()}`)
        said.push(...texts)
        yield* Effect.forEach(texts, (text) => done(alice, "say", text, "--to", "bob"), { concurrency: 4 })
      })
      yield* say(4)
      let receiver = bob
      for (let round = 0; round < 3; round++) {
        yield* Effect.all(
          [
            say(6),
            Effect.andThen(
              Effect.promise(() => delay(150 * round)),
              kill(receiver)
            )
          ],
          {
            concurrency: 2
          }
        )
        yield* say(2)
        receiver = yield* bobAgain
      }
      yield* until("all is delivered", allDelivered(alice))
      const sent = (yield* history(alice)).map(({ text }) => text)
      assert.sameMembers(sent, said)
      assert.deepStrictEqual(
        (yield* history(receiver)).map(({ text }) => text),
        sent
      )
    })
  )

  it.live("of both, again and again, with a flood under way in each direction", () =>
    Effect.gen(function* () {
      const { alice, aliceAgain, bob, bobAgain } = yield* pair
      yield* done(alice, "say", "hello", "--to", "bob")
      let nodes = { alice, bob }
      for (let round = 0; round < 3; round++) {
        const { alice, bob } = nodes
        // What was not answered before the kill was perhaps kept, perhaps not.
        const talk = (from: Node, to: string) =>
          Effect.forEach([1, 2, 3], (n) => from.kith("say", `${to} ${round} ${n}`, "--to", to), { concurrency: 3 })
        yield* Effect.all([talk(alice, "bob"), talk(bob, "alice"), Effect.andThen(delaying(round), kill(bob))], {
          concurrency: "unbounded"
        })
        yield* kill(alice)
        nodes = { alice: yield* aliceAgain, bob: yield* bobAgain }
      }
      yield* until("all is delivered", allDelivered(nodes.alice))
      yield* until("all is delivered back", allDelivered(nodes.bob))
      const [mine, theirs] = [yield* history(nodes.alice), yield* history(nodes.bob)]
      for (const to of ["bob", "alice"]) {
        const of = (messages: ReadonlyArray<Shown>) =>
          messages.map(({ text }) => text).filter((text) => text.startsWith(to))
        assert.deepStrictEqual(of(mine), of(theirs), `what went to ${to}`)
        assert.lengthOf(new Set(of(mine)), of(mine).length)
      }
    })
  )
})

const delaying = (round: number) => Effect.promise(() => delay(400 + 100 * round))
