/** The verbs of trust between real nodes: words, tickets, blocking, and forgetting. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { temporaryDirectory } from "../api/Served.ts"
import { runHere } from "./InProcess.ts"
import { up } from "./Nodes.ts"
import { hasPty, onTerminal } from "./Pty.ts"
import { type Ran, start } from "./Run.ts"

/** Two nodes that know each other. */
const met = Effect.gen(function* () {
  const alice = yield* up(yield* temporaryDirectory, "--name", "alice")
  const bob = yield* up(yield* temporaryDirectory, "--name", "bob", "--accept", "verified")
  yield* alice.kith("add", bob.address)
  return { alice, bob }
})

type Node = Effect.Success<ReturnType<typeof up>>

const trustOf = (node: Node, name: string) =>
  Effect.map(node.kith("peers", "--json"), ({ out }) => {
    const peers: ReadonlyArray<{ readonly name: string; readonly trust: string; readonly state: string }> =
      JSON.parse(out)
    return peers.find((peer) => peer.name === name)?.trust
  })

const failed = (ran: Ran, code: number, err: RegExp) => {
  assert.deepStrictEqual([ran.code, ran.out], [code, ""], ran.err)
  assert.match(ran.err, err)
}

/** Begins to compare, on the side that asks or the one that is asked. */
const comparing = (node: Node, peer: string) => start(["--data-dir", node.dataDir, "verify", peer], { stdin: "pipe" })

const words = (printed: string) => /\n {4}(\w+ {3}\w+ {3}\w+ {3}\w+)\n/.exec(printed)?.[1]

describe("trust", () => {
  it.live("verify shows the same words to both, and verifies both where both say so", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* met
      const [asks, answers] = [yield* comparing(alice, "bob"), yield* comparing(bob, "alice")]
      for (const side of [asks, answers]) yield* side.until((printed) => printed.includes("yes or no:"))
      assert.isDefined(words(asks.err))
      assert.strictEqual(words(asks.err), words(answers.err))
      asks.child.stdin?.write("maybe\ny\n")
      yield* asks.until((printed) => printed.includes("Waiting for the other side"))
      assert.strictEqual(asks.err.split("yes or no:").length, 3, "what is no answer is asked again")
      answers.child.stdin?.write("yes\n")
      assert.match((yield* Effect.promise(() => asks.ended)).out, /^verified bob \([a-z2-7]{8}\)\n$/)
      assert.strictEqual((yield* Effect.promise(() => answers.ended)).code, 0)
      assert.deepStrictEqual([yield* trustOf(alice, "bob"), yield* trustOf(bob, "alice")], ["verified", "verified"])
    }).pipe(Effect.scoped)
  )

  it.live("verify fails on both sides where one says no, or nobody can be asked", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* met
      const [asks, answers] = [yield* comparing(alice, "bob"), yield* comparing(bob, "alice")]
      for (const side of [asks, answers]) yield* side.until((printed) => printed.includes("yes or no:"))
      answers.child.stdin?.write("n\n")
      for (const side of [asks, answers]) {
        const ran = yield* Effect.promise(() => side.ended)
        assert.deepStrictEqual([ran.code, ran.out], [1, ""])
        assert.match(ran.err, /kith: words were not confirmed with \w+ \(\w{8}\): .*\n$/)
      }
      assert.deepStrictEqual([yield* trustOf(alice, "bob"), yield* trustOf(bob, "alice")], ["unverified", "unverified"])
      failed(yield* alice.kith("verify", "carol"), 1, /^kith: no peer is called "carol". Known: bob\n$/)
    }).pipe(Effect.scoped)
  )

  it.live("invite and join connect and verify both, once", () =>
    Effect.gen(function* () {
      const alice = yield* up(yield* temporaryDirectory, "--name", "alice")
      const bob = yield* up(yield* temporaryDirectory, "--name", "bob")
      const invited = yield* alice.kith("invite", "--expires", "1h")
      assert.strictEqual(invited.code, 0)
      assert.match(invited.out, /^kith1:[a-z2-7:]+\n$/)
      assert.match(invited.err, /kith join TICKET\. It is good once, until \d/)
      const joining = yield* start(["--data-dir", bob.dataDir, "join", "-"], { stdin: "pipe" })
      joining.child.stdin?.end(`\n  ${invited.out}\n`)
      const joined = yield* Effect.promise(() => joining.ended)
      assert.deepStrictEqual([joined.code, joined.err], [0, ""])
      assert.match(joined.out, /^connected to alice \(\w{8}\), verified\n$/)
      assert.deepStrictEqual([yield* trustOf(alice, "bob"), yield* trustOf(bob, "alice")], ["verified", "verified"])

      const ticket = invited.out.trim()
      failed(yield* bob.kith("join", ticket), 1, /^kith: .*used.*\n$/)
      failed(yield* alice.kith("join", ticket), 1, /^kith: .*own.*\n$/)
      failed(yield* bob.kith("join", "hello"), 2, /^kith: .*\n$/)
      failed(yield* bob.kith("join", `${ticket.slice(0, -1)}${ticket.endsWith("a") ? "b" : "a"}`), 2, /^kith: .*\n$/)
      failed(yield* bob.kith("join", ticket.slice(0, -9)), 2, /^kith: .*\n$/)
      for (const bad of ["soon", "0m", "10", "-5m", "1.5h", ""]) {
        failed(
          yield* runHere(["--data-dir", alice.dataDir, "invite", `--expires=${bad}`]),
          2,
          /^kith: --expires is ".*"; allowed is .*10m.*See: kith invite --help\n$/
        )
      }
      failed(yield* alice.kith("invite", "--expires", "30d"), 1, /^kith: .*7d.*\n$/)
    }).pipe(Effect.scoped)
  )

  it.live.skipIf(!hasPty)("invite draws a QR code on a terminal", () =>
    Effect.gen(function* () {
      const alice = yield* up(yield* temporaryDirectory, "--name", "alice")
      const invite = yield* onTerminal(["--data-dir", alice.dataDir, "invite"])
      assert.strictEqual((yield* Effect.promise(() => invite.running.ended)).code, 0)
      const lines = invite.seen().split("\n")
      const drawn = lines.filter((line) => /^[ █▀▄]+$/.test(line))
      assert.isAtLeast(drawn.length, 10)
      assert.strictEqual(new Set(drawn.map((line) => line.length)).size, 1, "a square")
      assert.isTrue(lines.some((line) => line.startsWith("kith1:")))
    }).pipe(Effect.scoped)
  )

  it.live("block, unblock and remove", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* met
      assert.match((yield* alice.kith("block", "bob")).out, /^blocked bob \(\w{8}\)\n$/)
      assert.strictEqual(yield* trustOf(alice, "bob"), "blocked")
      failed(yield* alice.kith("say", "hi", "--to", "bob"), 1, /^kith: the message was not sent: bob is blocked\n$/)
      failed(yield* bob.kith("add", alice.address), 1, /^kith: .*\n$/)
      failed(yield* alice.kith("remove", "bob"), 1, /^kith: .*unblock.*\n$/)
      assert.match((yield* alice.kith("unblock", "bob")).out, /^unblocked bob \(\w{8}\); it counts as unverified\n$/)
      assert.match((yield* alice.kith("unblock", "bob")).out, /^bob \(\w{8}\) was not blocked\n$/)
      const unblocked = JSON.parse((yield* alice.kith("peers", "--json")).out)
      assert.strictEqual(unblocked[0].trust, "unverified")
      assert.match((yield* alice.kith("remove", "bob")).out, /^removed bob \(\w{8}\)\n$/)
      failed(yield* alice.kith("block", "bob"), 1, /^kith: no peer is called "bob"/)
    }).pipe(Effect.scoped)
  )
})
