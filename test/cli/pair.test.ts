/** Two real nodes: what one person does by a verb is on the disk and on the screen of the other. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import type { ListedEntry } from "../../src/schema/ListedEntry.ts"
import type { Transfer } from "../../src/schema/Offer.ts"
import { temporaryDirectory } from "../api/Served.ts"
import { up } from "./Nodes.ts"
import { type Running, start } from "./Run.ts"

const pair = Effect.gen(function* () {
  const alice = yield* up(yield* temporaryDirectory, "--name", "alice")
  const bob = yield* up(yield* temporaryDirectory, "--name", "bob")
  assert.strictEqual((yield* alice.kith("add", bob.address)).code, 0)
  return { alice, bob }
})
type Node = Effect.Success<typeof pair>["alice"]

const write = (directory: string, name: string, text: string | Uint8Array): string => {
  const path = join(directory, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  return path
}

/** What is said of transfers at a node, as it is said. */
const follow = Effect.fnUntraced(function* (node: Node) {
  const watch = yield* start(["--data-dir", node.dataDir, "transfers", "--watch", "--json"])
  const told = (): ReadonlyArray<Transfer> =>
    watch.out
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line).transfer)
  let heard = 0
  return {
    told,
    /** Waits until this was said of a transfer, after what was waited for before. */
    until: (wanted: (transfer: Transfer) => boolean) =>
      watch.until(() => {
        const at = told().findIndex((transfer, at) => at >= heard && wanted(transfer))
        if (at >= 0) heard = at
        return at >= 0
      })
  }
})

/** Sends, without waiting for the end. */
const send = (node: Node, ...args: ReadonlyArray<string>) => start(["--data-dir", node.dataDir, "send", ...args])

const over = Effect.fnUntraced(function* (sending: Running, code: number) {
  const ran = yield* Effect.promise(() => sending.ended)
  assert.strictEqual(ran.code, code, ran.out + ran.err)
  return ran.out
})

describe("two nodes", () => {
  it.live(
    "find what was said, tell that it was read, and keep what was set of each other",
    () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair
        const watch = yield* start(["--data-dir", alice.dataDir, "history", "--watch", "--json"])
        yield* alice.kith("say", "the red fox", "--to", "bob")
        yield* alice.kith("say", "a fox, not so red", "--to", "bob")
        yield* alice.kith("say", "a blue whale")
        const texts = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
          const found = yield* bob.kith("history", "--json", ...args)
          assert.strictEqual(found.code, 0, found.err)
          return JSON.parse(found.out).map(({ text }: { readonly text: string }) => text)
        })
        assert.sameMembers(yield* texts("--search", "RED fox"), ["the red fox", "a fox, not so red"])
        assert.deepStrictEqual(yield* texts("--search", '"red fox"'), ["the red fox"])
        assert.deepStrictEqual(yield* texts("--search", "fox", "--peer", "alice", "--limit", "1"), [
          "a fox, not so red"
        ])
        assert.deepStrictEqual(yield* texts("--search", "badger"), [])

        assert.include((yield* bob.kith("peers")).err, "2 unread messages from alice")
        assert.strictEqual((yield* bob.kith("history", "--peer", "alice", "--mark-read")).code, 0)
        yield* watch.until((printed) => /"text":"a fox, not so red".*"state":"read"/.test(printed))
        assert.notInclude((yield* bob.kith("peers")).err, "from alice")

        assert.strictEqual(
          (yield* bob.kith("set", "accept", "everyone", "--peer", "alice")).out,
          "accept of alice is everyone\n"
        )
        const caps = yield* bob.kith("set", "caps", "receive=500KiB", "--peer", "alice")
        assert.strictEqual(caps.out, "caps of alice are: send no cap, receive 500 KiB/s\n")
        assert.deepStrictEqual(JSON.parse((yield* bob.kith("set", "--peer", "alice", "--json")).out), {
          accept: "everyone",
          caps: { send: null, receive: 512_000 }
        })
        assert.include((yield* bob.kith("set")).out, "send no cap, receive no cap")
        // Nobody is asked.
        const sent = yield* alice.kith("send", write(alice.dataDir, "note", "hello"), "--to", "bob")
        assert.strictEqual(sent.code, 0, sent.err)
        assert.strictEqual(readFileSync(join(bob.received, "note"), "utf8"), "hello")
      }),
    60_000
  )

  it.live(
    "take a part of an offer, and do about names that exist what was said",
    () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair
        for (const name of ["renamed", "replaced"]) write(bob.received, name, "old")
        write(bob.received, "same", "new")
        const files = ["renamed", "replaced", "same"].map((name) => write(alice.dataDir, name, "new"))
        for (const name of ["a.jpg", "b.txt", "sub/c.jpg"]) write(join(alice.dataDir, "tree"), name, name)
        const sends = yield* Effect.forEach([...files, join(alice.dataDir, "tree")], (path) =>
          send(alice, path, "--to", "bob")
        )
        const offers = yield* follow(bob)
        const idOf = Effect.fnUntraced(function* (name: string) {
          const isIt = (transfer: Transfer) => transfer.name === name && transfer.listed === true
          yield* offers.until(() => offers.told().some(isIt))
          return offers.told().find(isIt)?.id ?? ""
        })
        const tree = yield* idOf("tree")
        const listed = yield* bob.kith("transfers", tree, "--list", "--json")
        assert.sameDeepMembers(
          JSON.parse(listed.out).map(({ path, size, state }: ListedEntry) => [path, size, state]),
          [
            ["tree", 0, "offered"],
            ["tree/a.jpg", 5, "offered"],
            ["tree/b.txt", 5, "offered"],
            ["tree/sub", 0, "offered"],
            ["tree/sub/c.jpg", 9, "offered"]
          ]
        )
        assert.match((yield* bob.kith("transfers", tree, "--list")).out, /offered +5 B +tree\/b\.txt\n/)
        const answers = [
          [yield* idOf("renamed"), "--conflict", "rename"],
          [yield* idOf("replaced"), "--conflict", "overwrite"],
          [yield* idOf("same"), "--conflict", "skip"],
          [tree, "--only", "*.jpg"]
        ]
        for (const answer of answers) assert.strictEqual((yield* bob.kith("accept", ...answer)).code, 0)
        const [renamed = "", replaced = "", same = "", part = ""] = yield* Effect.forEach(sends, (one) => over(one, 0))
        assert.include(renamed, "renamed: renamed is renamed (1), since the name was taken")
        assert.include(replaced, "stored there as replaced\n")
        assert.include(same, "1 file was there already\n")
        assert.include((yield* bob.kith("transfers", answers[2]?.[0] ?? "")).out, "1 file was here already\n")
        assert.include(part, "not taken: tree/b.txt\n")

        const inBob = (name: string) => readFileSync(join(bob.received, name), "utf8")
        assert.deepStrictEqual(
          ["renamed", "renamed (1)", "replaced", "same", "tree/a.jpg", "tree/sub/c.jpg"].map(inBob),
          ["old", "new", "new", "new", "a.jpg", "sub/c.jpg"]
        )
        assert.isFalse(existsSync(join(bob.received, "tree/b.txt")))
        assert.deepStrictEqual(
          readdirSync(bob.received).filter((name) => name !== ".kith"),
          ["renamed", "renamed (1)", "replaced", "same", "tree"]
        )
        const late = yield* bob.kith("transfers", tree, "--list")
        assert.strictEqual(late.code, 1)
        assert.include(late.err, "it is over, so that its list is not held any more")
      }),
    60_000
  )

  it.live(
    "pause, resume, hurry and cancel from either side, and each sees it",
    () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair
        assert.strictEqual((yield* bob.kith("set", "accept", "everyone")).code, 0)
        assert.strictEqual((yield* bob.kith("set", "caps", "receive=500KiB")).code, 0)
        const [here, there] = [yield* follow(alice), yield* follow(bob)]
        const big = write(alice.dataDir, "big", "")
        truncateSync(big, 2 ** 28)
        const sending = yield* send(alice, big, "--to", "bob")
        yield* there.until(({ state }) => state === "running")
        const id = there.told().at(-1)?.id ?? ""
        const paused = yield* bob.kith("pause", id.slice(0, 6))
        assert.deepStrictEqual([paused.code, paused.out], [0, "paused big from alice\n"], paused.err)
        yield* here.until(({ pausedBy, state }) => state === "paused" && pausedBy === "peer")
        assert.include((yield* alice.kith("transfers", id)).out, "paused, by the peer")
        assert.strictEqual((yield* bob.kith("resume", id)).code, 0)
        yield* here.until(({ pausedBy, state }) => state === "running" && (pausedBy ?? null) === null)

        assert.strictEqual((yield* alice.kith("pause", id)).code, 0)
        yield* there.until(({ pausedBy, state }) => state === "paused" && pausedBy === "peer")
        assert.strictEqual((yield* alice.kith("resume", id)).code, 0)
        yield* there.until(({ state }) => state === "running")
        assert.strictEqual((yield* bob.kith("priority", id, "high")).out, "now of high priority: big from alice\n")
        assert.strictEqual(JSON.parse((yield* bob.kith("transfers", id, "--json")).out).priority, "high")

        assert.strictEqual((yield* bob.kith("cancel", id)).code, 0)
        assert.include(yield* over(sending, 1), "cancelled to bob: the receiver cancelled it\n")
        assert.isFalse(existsSync(join(bob.received, "big")))
      }),
    60_000
  )
})
