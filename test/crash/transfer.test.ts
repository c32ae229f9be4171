/**
 * Nodes as processes that are killed in the middle of a transfer, with kill -9: by the clock of what has arrived, and
 * by strace at chosen system calls, where that may be attached. Started again they go on by themselves, and the trees
 * are equal.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { join } from "node:path"
import { treeOf } from "../actors/TransferNode.ts"
import {
  arrives,
  connected,
  freePort,
  kill,
  makeNode,
  mebi,
  type Node,
  plant,
  sendTo,
  shows,
  until,
  visible
} from "./CrashNode.ts"
import { attach, skipped } from "./Faults.ts"

/** A transfer that ends had not so many of the calls: then nothing was tested. */
const neverCalled = (bob: Node) =>
  Effect.andThen(
    shows(bob, ({ state }) => state === "done"),
    // Some of them come when it is over: clearing up.
    Effect.flatMap(Effect.sleep("10 seconds"), () => Effect.die(new Error("it is over, and nobody was killed")))
  )

/** One thread in the pool, so that a system call's number is the same in each run. */
const oneThread = { env: { UV_THREADPOOL_SIZE: "1" } }

const pair = Effect.gen(function* () {
  const [alice, bob] = [yield* makeNode("alice"), yield* makeNode("bob")]
  fs.mkdirSync(bob.received)
  const to = yield* bob.start(oneThread)
  const from = yield* alice.start({ peer: bob.port, ...oneThread })
  yield* connected(alice)
  return { alice, bob, from, to, tree: plant(alice.root) }
})

describe("kill -9 once part of it has arrived", { concurrent: true }, () => {
  for (const who of ["receiver", "sender", "both"] as const) {
    it.live(`of the ${who}, twice`, () =>
      Effect.gen(function* () {
        const { alice, bob, ...first } = yield* pair
        yield* bob.caps(2 * mebi)
        yield* sendTo(alice, first.tree)
        let { from, to } = first
        for (const part of [mebi, 3 * mebi]) {
          yield* shows(bob, ({ bytes }) => bytes > part)
          if (who !== "sender") kill(to.child)
          if (who !== "receiver") kill(from.child)
          // The cap ended with the run that had it: the second time it may all be there.
          if (visible(bob.received).length > 0) {
            assert.deepStrictEqual(treeOf(join(bob.received, "tree")), treeOf(first.tree))
          }
          if (who !== "sender") {
            yield* to.gone
            to = yield* bob.start()
          }
          if (who !== "receiver") {
            yield* from.gone
            from = yield* alice.start({ peer: bob.port })
          }
        }
        yield* arrives(alice, bob, first.tree)
      })
    )
  }
})

describe("a node that comes back elsewhere", { concurrent: true }, () => {
  for (const who of ["receiver", "sender"] as const) {
    it.live(`is found there, and the transfer goes on: the ${who} at another port and another address`, () =>
      Effect.gen(function* () {
        const { alice, bob, from, to, tree } = yield* pair
        yield* bob.caps(2 * mebi)
        yield* sendTo(alice, tree)
        yield* shows(bob, ({ bytes }) => bytes > mebi)
        const [moved, process, other] = who === "receiver" ? [bob, to, alice] : [alice, from, bob]
        kill(process.child)
        yield* process.gone
        // 127.0.0.2 is this machine too. Nobody told the other: whoever moved calls.
        yield* moved.start({ port: yield* freePort, host: "127.0.0.2", peer: other.port })
        yield* connected(moved)
        yield* arrives(alice, bob, tree)
      })
    )
  }
})

type Calls = ReadonlyArray<readonly [call: string, numbers: ReadonlyArray<number>]>

/**
 * Of a transfer that comes: making the staging, journal and data, publishing, and clearing up. strace counts the calls
 * of each thread alone: of a transfer of this tree the pool's thread makes 69 syncs, 11 directories, 7 writes (of the
 * journal) and 6 removals; the file store's own thread 4 directories and one as a claim, 45 writes (of data), and the
 * rename that publishes.
 */
const received: Calls = [
  ["fsync", [1, 5, 9, 14, 30, 60]],
  ["mkdir", [2, 4, 7, 10]],
  ["rename", [1]],
  ["unlink", [1]],
  ["rmdir", [1, 4]],
  ["pwrite64", [2, 20, 40]]
]

/** Of one that goes: what was picked, the list, what is safe, and clearing up, all of it by the pool's thread. */
const sent: Calls = [
  ["fsync", [1, 2, 4, 7, 10]],
  ["mkdir", [2, 4]],
  ["pwrite64", [1, 2, 3, 5]],
  ["unlink", [1, 2]],
  ["rmdir", [2, 3]]
]

const mayTrace = !skipped("what a kill at chosen system calls leaves")

// Five at a time, each with three starts of a node: on a machine that is busy each takes as long as five.
describe.skipIf(!mayTrace)("killed at a system call", { concurrent: true, timeout: 300_000 }, () => {
  for (const [who, calls] of [
    ["receiver", received],
    ["sender", sent]
  ] as const) {
    for (const [call, numbers] of calls) {
      for (const when of numbers) {
        it.live(`of the ${who}, ${call} number ${when}`, () =>
          Effect.gen(function* () {
            const { alice, bob, from, to, tree } = yield* pair
            const victim = who === "sender" ? from : to
            yield* attach(victim.child, ["-e", `trace=${call}`, "-e", `inject=${call}:signal=SIGKILL:when=${when}`])
            yield* Effect.raceFirst(Effect.ignore(sendTo(alice, tree)), victim.gone)
            yield* Effect.raceFirst(victim.gone, neverCalled(bob))
            yield* who === "sender" ? alice.start({ peer: bob.port }) : bob.start()
            yield* connected(alice)
            // Where it was not kept yet nobody was promised anything.
            const isKept = (yield* alice.transfers).length > 0 || (yield* bob.transfers).length > 0
            if (!isKept) yield* sendTo(alice, tree)
            yield* arrives(alice, bob, tree)
            yield* until(
              Effect.sync(() => fs.readdirSync(join(alice.dataDir, "transfers"))),
              (left) => left.length === 0
            )
          })
        )
      }
    }
  }

  for (const [mine, theirs] of [
    ["pread64", "pwrite64"],
    ["pwrite64", "fsync"]
  ] as const) {
    it.live(`of both at once, at ${mine} of the sender and before or after ${theirs} of the receiver`, () =>
      Effect.gen(function* () {
        const { alice, bob, from, to, tree } = yield* pair
        yield* attach(from.child, ["-e", `trace=${mine}`, "-e", `inject=${mine}:signal=SIGKILL:when=6`])
        yield* attach(to.child, ["-e", `trace=${theirs}`, "-e", `inject=${theirs}:signal=SIGKILL:when=12`])
        yield* Effect.raceFirst(Effect.ignore(sendTo(alice, tree)), from.gone)
        yield* Effect.raceFirst(from.gone, to.gone)
        kill(from.child)
        kill(to.child)
        yield* Effect.all([from.gone, to.gone])
        yield* bob.start()
        yield* alice.start({ peer: bob.port })
        yield* connected(alice)
        if ((yield* alice.transfers).length === 0) yield* sendTo(alice, tree)
        yield* arrives(alice, bob, tree)
      })
    )
  }
})
