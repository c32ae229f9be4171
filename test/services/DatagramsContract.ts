/**
 * What every implementation of Datagrams must do, as one suite. A caller says how to get two processes that can hear
 * each other, and how time passes while a datagram is under way.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import { datagramMaxBytes } from "../../src/schema/Announcement.ts"
import { type Datagram, DatagramError, type Datagrams, type Interface } from "../../src/services/Datagrams.ts"

type Service = Datagrams["Service"]

export interface DatagramsHarness {
  readonly name: string
  /** `it.effect` of a simulated medium, `it.live` of a real one. */
  readonly test: (name: string, run: () => Effect.Effect<void, unknown, Scope.Scope>) => void
  /** Two processes on one network, and the interface of each by which they meet. */
  readonly pair: Effect.Effect<
    { readonly a: Service; readonly b: Service; readonly on: (service: Service) => Effect.Effect<Interface> },
    never,
    Scope.Scope
  >
  /** A UDP port that nobody else uses. */
  readonly port: Effect.Effect<number>
  /** Runs it while time passes; it fails if this takes long. */
  readonly soon: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const bytes = (text: string) => encoder.encode(text)
const text = (datagram: Datagram) => decoder.decode(datagram.payload)

/** Somewhere to receive to. */
const mailbox = Effect.map(Queue.dropping<Datagram>(1000), (queue) => ({
  receive: (datagram: Datagram) => Effect.asVoid(Queue.offer(queue, datagram)),
  /** The first from now on with this text; earlier others are thrown away. */
  next: (wanted: string) => Effect.repeat(Queue.take(queue), { until: (datagram) => text(datagram) === wanted }),
  /** Everything so far. */
  all: Effect.map(Queue.clear(queue), (datagrams) => datagrams.map(text))
}))

const nobody = () => Effect.void

export const datagramsContract = ({ name, test, pair, port: freePort, soon }: DatagramsHarness) =>
  describe(`Datagrams contract: ${name}`, () => {
    test("names interfaces with address and prefix", () =>
      Effect.gen(function* () {
        const { a } = yield* pair
        const interfaces = yield* a.interfaces
        assert.isAbove(interfaces.length, 0)
        for (const one of interfaces) {
          assert.match(one.address, one.family === "IPv4" ? /^\d+(\.\d+){3}$/ : /^[0-9a-f:.]+$/)
          assert.isTrue(one.prefix >= 0 && one.prefix <= (one.family === "IPv4" ? 32 : 128), String(one.prefix))
        }
      }))

    test("a broadcast is heard whole on the discovery port, from where it was sent", () =>
      Effect.gen(function* () {
        const { a, b, on } = yield* pair
        const port = yield* freePort
        const heard = yield* mailbox
        yield* b.listen(port, heard.receive)
        const from = yield* on(a)
        const sender = yield* a.open(from, port, nobody)
        const payload = new Uint8Array(datagramMaxBytes).map((_, index) => index)
        const outcomes = yield* sender.broadcast(payload)
        assert.isAbove(outcomes.length, 0)
        assert.deepStrictEqual(
          outcomes.map(({ error }) => error),
          outcomes.map(() => null)
        )
        assert.strictEqual(new Set(outcomes.map(({ to }) => to)).size, outcomes.length)
        const datagram = yield* soon(heard.next(decoder.decode(payload)))
        assert.deepStrictEqual(new Uint8Array(datagram.payload), payload)
        assert.deepStrictEqual(datagram.from, { host: from.address, port: sender.port })
      }))

    test("a unicast reply reaches the sender's own socket and nobody's discovery port", () =>
      Effect.gen(function* () {
        const { a, b, on } = yield* pair
        const port = yield* freePort
        const [shared, heard, replies] = [yield* mailbox, yield* mailbox, yield* mailbox]
        yield* a.listen(port, shared.receive)
        yield* b.listen(port, heard.receive)
        const asking = yield* a.open(yield* on(a), port, replies.receive)
        const answering = yield* b.open(yield* on(b), port, nobody)
        yield* asking.broadcast(bytes("who is there?"))
        const question = yield* soon(heard.next("who is there?"))
        yield* answering.send(bytes("I am"), question.from)
        const answer = yield* soon(replies.next("I am"))
        assert.strictEqual(answer.from.port, answering.port)
        // What came later has come, so what did not come will not.
        yield* answering.broadcast(bytes("later"))
        yield* soon(shared.next("later"))
        yield* answering.broadcast(bytes("last"))
        yield* soon(shared.next("last"))
        assert.notInclude(yield* shared.all, "I am")
        assert.deepStrictEqual(yield* replies.all, [])
      }))

    test("every listener of a shared port hears every broadcast", () =>
      Effect.gen(function* () {
        const { a, b, on } = yield* pair
        const port = yield* freePort
        const heard = [yield* mailbox, yield* mailbox, yield* mailbox]
        for (const { receive } of heard) yield* b.listen(port, receive)
        const sender = yield* a.open(yield* on(a), port, nobody)
        yield* sender.broadcast(bytes("all"))
        for (const { next } of heard) yield* soon(next("all"))
      }))

    test("senders of one machine have ports of their own", () =>
      Effect.gen(function* () {
        const { a, on } = yield* pair
        const port = yield* freePort
        const from = yield* on(a)
        const [one, other] = [yield* a.open(from, port, nobody), yield* a.open(from, port, nobody)]
        assert.notStrictEqual(one.port, other.port)
        assert.notInclude([one.port, other.port], port)
      }))

    test("what listened is silent once its scope has ended, and others hear on", () =>
      Effect.gen(function* () {
        const { a, b, on } = yield* pair
        const port = yield* freePort
        const [brief, lasting] = [yield* mailbox, yield* mailbox]
        const scope = yield* Scope.make()
        yield* b.listen(port, brief.receive).pipe(Scope.provide(scope))
        yield* b.listen(port, lasting.receive)
        const sender = yield* a.open(yield* on(a), port, nobody)
        yield* sender.broadcast(bytes("first"))
        yield* soon(brief.next("first"))
        yield* Scope.close(scope, Exit.void)
        yield* sender.broadcast(bytes("second"))
        yield* soon(lasting.next("second"))
        assert.notInclude(yield* brief.all, "second")
      }))

    test("what is too long is dropped and counted", () =>
      Effect.gen(function* () {
        const { a, b, on } = yield* pair
        const port = yield* freePort
        const heard = yield* mailbox
        yield* b.listen(port, heard.receive)
        const before = yield* b.dropped
        const sender = yield* a.open(yield* on(a), port, nobody)
        const tooLong = yield* sender.broadcast(new Uint8Array(datagramMaxBytes + 1))
        const sent = tooLong.filter(({ error }) => error === null).length
        yield* sender.broadcast(bytes("short"))
        yield* soon(heard.next("short"))
        yield* sender.broadcast(bytes("end"))
        yield* soon(heard.next("end"))
        assert.isTrue((yield* heard.all).every((each) => each === "short" || each === "end"))
        assert.isAtLeast((yield* b.dropped) - before, sent)
      }))

    test("a receiver that dies of one datagram gets the next", () =>
      Effect.gen(function* () {
        const { a, b, on } = yield* pair
        const port = yield* freePort
        const heard = yield* mailbox
        yield* b.listen(port, (datagram) =>
          text(datagram) === "poison" ? Effect.die(new Error("could not bear it")) : heard.receive(datagram)
        )
        const sender = yield* a.open(yield* on(a), port, nobody)
        yield* sender.broadcast(bytes("poison"))
        yield* sender.broadcast(bytes("food"))
        yield* soon(heard.next("food"))
      }).pipe(Effect.provideService(References.MinimumLogLevel, "None")))

    test("a host name is no destination: nothing is looked up", () =>
      Effect.gen(function* () {
        const { a, on } = yield* pair
        const port = yield* freePort
        const sender = yield* a.open(yield* on(a), port, nobody)
        const error = yield* soon(Effect.flip(sender.send(bytes("x"), { host: "localhost", port })))
        assert.instanceOf(error, DatagramError)
        assert.include(error.message, "localhost")
      }))

    test("an interface that is not there cannot be opened", () =>
      Effect.gen(function* () {
        const { a, on } = yield* pair
        const port = yield* freePort
        const gone: Interface = { ...(yield* on(a)), name: "gone0", address: "198.51.100.77" }
        const error = yield* Effect.flip(a.open(gone, port, nobody))
        assert.strictEqual(error.code, "EADDRNOTAVAIL")
      }))
  })
