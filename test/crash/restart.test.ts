/** Messages between real nodes that are killed with SIGKILL: each arrives once and in order, whoever dies and when. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { setTimeout as delay } from "node:timers/promises"
import { connected, kill, makeNode, type Node, type Started, until } from "./CrashNode.ts"

interface Shown {
  readonly text: string
  readonly state: string
}

const after = (millis: number) => Effect.promise(() => delay(millis))

/** Null where nobody answers: then it was perhaps kept, perhaps not. */
const say = (node: Node, text: string, to: Node) =>
  Effect.map(
    node.ask("POST", "/api/messages", { text, to: to.name }),
    (answer) => (answer as Shown | undefined) ?? null
  )

/** It answers, and keeps it. */
const says = (node: Node, text: string, to: Node) =>
  Effect.map(say(node, text, to), (message) => {
    assert.isNotNull(message, text)
    return message
  })

const history = (node: Node) =>
  Effect.map(
    until(node.ask("GET", "/api/messages?limit=1000"), (answer) => Array.isArray(answer)),
    (answer) => answer as ReadonlyArray<Shown>
  )

const allDelivered = (node: Node) =>
  until(history(node), (messages) => messages.every(({ state }) => state === "delivered"))

const die = (started: Started) =>
  Effect.andThen(
    Effect.sync(() => kill(started.child)),
    started.gone
  )

/** Two nodes that know each other. They keep their ports, so that they are found where they were. */
const pair = Effect.gen(function* () {
  const [alice, bob] = [yield* makeNode("alice"), yield* makeNode("bob")]
  const to = yield* bob.start()
  const from = yield* alice.start({ peer: bob.port })
  yield* connected(alice)
  yield* connected(bob)
  return { alice, bob, from, to }
})

/** Started again, and it answers. */
const again = (node: Node) => Effect.tap(node.start(), () => history(node))

describe("kill -9", { concurrent: true }, () => {
  it.live("of the sender, with messages for a peer that is away: both start, and each is delivered once", () =>
    Effect.gen(function* () {
      const { alice, bob, from, to } = yield* pair
      yield* says(alice, "before", bob)
      yield* allDelivered(alice)
      yield* die(to)
      const texts = ["one", "two 👋", "three"]
      for (const text of texts) yield* says(alice, text, bob)
      yield* die(from)
      yield* again(alice)
      assert.deepStrictEqual(
        (yield* history(alice)).map(({ state }) => state),
        ["delivered", "queued", "queued", "queued"]
      )
      yield* again(bob)
      yield* allDelivered(alice)
      assert.deepStrictEqual(
        (yield* history(bob)).map(({ text }) => text),
        ["before", ...texts]
      )
    })
  )

  it.live("of the receiver, between and amid messages: none is lost, and none is shown twice", () =>
    Effect.gen(function* () {
      const { alice, bob, to } = yield* pair
      const said: Array<string> = []
      // At the same time: whichever order they take, it is the one that is kept.
      const some = Effect.fnUntraced(function* (count: number) {
        const texts = Array.from({ length: count }, () => `message ${said.length}.${Math.random()}`)
        said.push(...texts)
        yield* Effect.forEach(texts, (text) => says(alice, text, bob), { concurrency: 4 })
      })
      yield* some(4)
      let receiver = to
      for (let round = 0; round < 3; round++) {
        // A hundred in a row take long enough to be killed amid.
        yield* Effect.all([some(100), Effect.andThen(after(30 * round), die(receiver))], { concurrency: 2 })
        yield* some(2)
        receiver = yield* again(bob)
      }
      yield* allDelivered(alice)
      const sent = (yield* history(alice)).map(({ text }) => text)
      assert.sameMembers(sent, said)
      assert.deepStrictEqual(
        (yield* history(bob)).map(({ text }) => text),
        sent
      )
    })
  )

  it.live("of both, again and again, with a flood under way in each direction", () =>
    Effect.gen(function* () {
      const { alice, bob, ...first } = yield* pair
      yield* says(alice, "hello", bob)
      let { from, to } = first
      for (let round = 0; round < 3; round++) {
        const talk = (one: Node, other: Node) =>
          Effect.forEach(
            Array.from({ length: 200 }, (_, n) => n),
            (n) => say(one, `${other.name} ${round} ${n}`, other),
            { concurrency: 3 }
          )
        // Those that nobody answers any more are asked quickly, and in vain.
        yield* Effect.all(
          [
            talk(alice, bob),
            talk(bob, alice),
            Effect.andThen(after(40 + 60 * round), die(to)),
            Effect.andThen(after(80 + 60 * round), die(from))
          ],
          { concurrency: "unbounded" }
        )
        ;[from, to] = [yield* again(alice), yield* again(bob)]
      }
      yield* allDelivered(alice)
      yield* allDelivered(bob)
      const [mine, theirs] = [yield* history(alice), yield* history(bob)]
      for (const to of ["bob", "alice"]) {
        const of = (messages: ReadonlyArray<Shown>) =>
          messages.map(({ text }) => text).filter((text) => text.startsWith(to))
        assert.isNotEmpty(of(mine), `what went to ${to}`)
        assert.deepStrictEqual(of(mine), of(theirs), `what went to ${to}`)
        assert.lengthOf(new Set(of(mine)), of(mine).length)
      }
    })
  )
})
