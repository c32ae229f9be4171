/** A real node and a second implementation that knows nothing but docs/PROTOCOL.md, as processes on the loopback. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { createHash, randomBytes } from "node:crypto"
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { run, start } from "../cli/Run.ts"
import { freeUdpPort, startOther } from "./Other.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-interop-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** A real node that finds others by announcements on this port of the loopback. */
const startKith = Effect.fnUntraced(function* (at: string, discoveryPort: number) {
  const dataDir = join(at, "kith")
  const received = join(at, "kith-received")
  const loopback = ["--host", "127.0.0.1", "--port", "0", "--api-port", "0", "--log-format", "json"]
  const who = ["--name", "Kith", "--received", received, "--accept", "everyone"]
  const found = ["--discovery-port", `${discoveryPort}`]
  const node = yield* start(["up", "--data-dir", dataDir, ...loopback, ...who, ...found])
  yield* node.until((printed) => printed.includes("The node is up."))
  const id = /"id":"([a-z2-7]{52})"/.exec(node.out + node.err)?.[1] ?? ""
  const kith = (...verb: ReadonlyArray<string>) => run(["--data-dir", dataDir, ...verb])
  /** How often a message with this text is in the history. */
  const timesShown = (text: string) =>
    Effect.map(kith("history", "--json"), ({ out }) => out.split(`"text": ${JSON.stringify(text)}`).length - 1)
  return { node, id, received, kith, timesShown }
})

/** Both of them, in session with each other because the one heard the other's announcement. */
const met = Effect.fnUntraced(function* (...flags: ReadonlyArray<string>) {
  const at = yield* directory
  const port = yield* freeUdpPort
  const kith = yield* startKith(at, port)
  const who = ["--name", "Other", "--received", join(at, "other-received")]
  const other = yield* startOther(...who, "--discovery-port", `${port}`, ...flags)
  yield* other.tell("discover")
  const session = yield* other.heard("session", ({ peer }) => peer === kith.id)
  return { at, kith, other, session }
})

/** One pair that several tests share: each says and sends other things. */
class Pair extends Context.Service<Pair, Effect.Success<ReturnType<typeof met>>>()("test/interop/Pair") {
  static readonly layer = Layer.effect(Pair, met())
}

/** What lies below a directory: paths, and of files what they hold and whether they are executable. */
const tree = (root: string): ReadonlyArray<string> =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      if (entry.isDirectory()) return `${relative(root, path)}/`
      const digest = createHash("sha256").update(readFileSync(path)).digest("hex")
      return `${relative(root, path)} ${statSync(path).mode & 0o100} ${Math.trunc(statSync(path).mtimeMs)} ${digest}`
    })
    .toSorted()

/** A file of several blocks, and a directory of all that is awkward. */
const makeFiles = (root: string): ReadonlyArray<string> => {
  const album = join(root, "Ålbum 📷 e\u0301")
  mkdirSync(join(album, "leer — 空"), { recursive: true })
  mkdirSync(join(album, "tief/er"), { recursive: true })
  writeFileSync(join(root, "big.bin"), randomBytes(3 * 1024 * 1024 + 17))
  writeFileSync(join(album, "nichts"), "")
  writeFileSync(join(album, "tief/er/👩‍👩‍👧.txt"), "family\n")
  writeFileSync(join(album, "C:notes"), "no drive")
  writeFileSync(join(album, "run.sh"), "#!/bin/sh\n")
  chmodSync(join(album, "run.sh"), 0o755)
  return [join(root, "big.bin"), album]
}

layer(Pair.layer, { excludeTestServices: true, timeout: "30 seconds" })(
  "a second implementation, written from the document",
  (it) => {
    it.effect("is discovered, and discovers, and greets", () =>
      Effect.gen(function* () {
        const { kith, other, session } = yield* Pair
        assert.strictEqual(session.name, "Kith")
        assert.isFalse(session.dialled, "it dials nobody, so the node has heard of it and dialled")
        const { kind } = yield* other.heard("heard", ({ id }) => id === kith.id)
        assert.include(["announce", "answer"], kind)

        yield* other.tell("frame", { peer: kith.id, frame: { _tag: "Ping", nonce: 41 } })
        yield* other.heard("pong", ({ nonce }) => nonce === 41)
      })
    )

    it.effect("chats: receipts both ways, and what is sent again is shown once", () =>
      Effect.gen(function* () {
        const { kith, other } = yield* Pair
        yield* other.tell("say", { peer: kith.id, text: "hello 😀\n\u0001" })
        yield* other.heard("receipt", ({ seq, state }) => seq === 1 && state === "delivered")
        yield* kith.kith("history", "--mark-read")
        yield* other.heard("receipt", ({ seq, state }) => seq === 1 && state === "read")
        assert.strictEqual((yield* kith.kith("say", "e\u0301 \u{1f600}", "--to", "Other")).code, 0, "it is delivered")
        yield* other.heard("message", ({ text }) => text === "e\u0301 \u{1f600}")

        yield* other.tell("lossy", { on: true })
        yield* other.tell("say", { peer: kith.id, text: "once to you" })
        yield* other.heard("receipt", ({ seq }) => seq === 2)
        const saying = yield* Effect.forkChild(kith.kith("say", "once to me", "--to", "Other"))
        yield* other.heard("message", ({ text }) => text === "once to me")

        yield* other.tell("lossy", { on: false })
        const from = other.events().length
        yield* other.tell("drop", { peer: kith.id })
        yield* other.heard("session", undefined, from)
        yield* other.heard("receipt", ({ seq }) => seq === 2, from)
        yield* other.heard("again", ({ text }) => text === "once to me", from)
        assert.strictEqual((yield* Fiber.join(saying)).code, 0)
        assert.strictEqual(yield* kith.timesShown("once to you"), 1)
        const shown = other.events().filter(({ event, text }) => event === "message" && text === "once to me")
        assert.lengthOf(shown, 1)
      })
    )

    it.effect("receives files and directories whole, and sends them", () =>
      Effect.gen(function* () {
        const { at, kith, other } = yield* Pair
        mkdirSync(join(at, "files"))
        const paths = makeFiles(join(at, "files"))
        const sent = yield* kith.kith("send", ...paths, "--to", "Other")
        assert.strictEqual(sent.code, 0, sent.out + sent.err)
        const { root = "", outcome } = yield* other.heard("received")
        assert.strictEqual(outcome, "done")
        assert.deepStrictEqual(tree(root), tree(join(at, "files")))

        yield* other.tell("offer", { peer: kith.id, paths })
        const told = yield* other.heard("sent")
        assert.strictEqual(told.outcome, "done")
        assert.deepStrictEqual(tree(kith.received), tree(join(at, "files")))
      })
    )

    it.effect("refuses a block with a wrong digest, as the node does", () =>
      Effect.gen(function* () {
        const { at, kith, other } = yield* Pair
        const from = other.events().length
        writeFileSync(join(at, "wrong.bin"), randomBytes(2 * 1024 * 1024))
        yield* other.tell("offer", { peer: kith.id, paths: [join(at, "wrong.bin")], corrupt: true })
        assert.strictEqual((yield* other.heard("sent", undefined, from)).outcome, "failed")
        assert.notInclude(readdirSync(kith.received), "wrong.bin")

        const liar = yield* startOther("--name", "Liar", "--received", join(at, "liar-received"))
        yield* liar.tell("dial", { port: other.port })
        yield* liar.heard("session", ({ peer }) => peer === other.id)
        yield* liar.tell("offer", { peer: other.id, paths: [join(at, "wrong.bin")], corrupt: true })
        const { reason } = yield* other.heard("refused")
        assert.strictEqual(reason, "block 0 of wrong.bin has a wrong digest")
        yield* liar.heard("control", (event) => event.reason === reason)
        assert.notInclude(
          other
            .events()
            .slice(from)
            .map(({ event }) => event),
          "received"
        )
      })
    )
  }
)

describe("the core of a second implementation, by itself", () => {
  it("is under 300 lines", () => {
    assert.isBelow(readFileSync(new URL("node.js", import.meta.url), "utf8").split("\n").length, 300)
  })

  it.live("is discovered, greets, chats and receives what is sent", () =>
    Effect.gen(function* () {
      const { at, kith, other } = yield* met("--core")
      assert.strictEqual((yield* kith.kith("say", "hello", "--to", "Other")).code, 0, "it is delivered")
      yield* other.heard("message", ({ text }) => text === "hello")
      yield* other.tell("say", { peer: kith.id, text: "hello yourself" })
      yield* other.heard("receipt", ({ seq, state }) => seq === 1 && state === "delivered")
      mkdirSync(join(at, "files"))
      const paths = makeFiles(join(at, "files"))
      const sent = yield* kith.kith("send", ...paths, "--to", "Other")
      assert.strictEqual(sent.code, 0, sent.out + sent.err)
      const { root = "" } = yield* other.heard("received")
      assert.deepStrictEqual(tree(root), tree(join(at, "files")))
    })
  )
})

describe("a second implementation that is not as the first", () => {
  it.live("dials at the same moment: the dial of the smaller id is left, and it hears the node's goodbye", () =>
    Effect.gen(function* () {
      const { kith, other, session } = yield* met("--crossing")
      assert.strictEqual(session.dialled, other.id < kith.id)
      assert.strictEqual((yield* kith.kith("say", "one link", "--to", "Other")).code, 0)
      yield* other.heard("message", ({ text }) => text === "one link")
      const { out } = yield* kith.kith("peers", "--json")
      assert.strictEqual(out.split('"state": "connected"').length - 1, 1)
      const sessions = other.events().filter(({ event }) => event.startsWith("session"))
      assert.lengthOf(sessions, 1)

      kith.node.child.kill("SIGTERM")
      yield* other.heard("goodbye", ({ reason }) => reason === "shutdown")
      yield* other.heard("heard", (event) => event.kind === "goodbye" && event.id === kith.id)
    })
  )

  it.live("may be of a later minor version: other frames, fields and features are lived with, and its goodbye", () =>
    Effect.gen(function* () {
      const { at, kith, other } = yield* met("--future", "--dial-heard")
      yield* other.tell("frame", { peer: kith.id, frame: { _tag: "Hologram", of: [1, { two: null }] } })
      yield* other.tell("say", { peer: kith.id, text: "from 1.7" })
      yield* other.heard("receipt", ({ seq }) => seq === 1)
      assert.strictEqual(yield* kith.timesShown("from 1.7"), 1)
      assert.strictEqual((yield* kith.kith("say", "from 1.0", "--to", "Other")).code, 0)

      writeFileSync(join(at, "note.txt"), "the same bytes")
      const sent = yield* kith.kith("send", join(at, "note.txt"), "--to", "Other")
      assert.strictEqual(sent.code, 0, sent.out + sent.err)
      const { root = "" } = yield* other.heard("received")
      assert.strictEqual(readFileSync(join(root, "note.txt"), "utf8"), "the same bytes")
      yield* other.tell("offer", { peer: kith.id, paths: [join(at, "note.txt")] })
      assert.strictEqual((yield* other.heard("sent")).outcome, "done")

      const events = other.events().map(({ event }) => event)
      assert.notInclude(events, "frameRefused")
      assert.notInclude(events, "sessionEnded")

      yield* other.tell("frame", { peer: kith.id, frame: { _tag: "Chat", text: "no number" } })
      yield* other.heard("frameRefused", ({ frame }) => frame === "Chat")

      yield* other.tell("quit")
      assert.strictEqual((yield* Effect.promise(() => other.ended)).code, 0)
      yield* kith.node.until((printed) =>
        printed.split("\n").some((line) => line.includes("A session ended.") && line.includes('"reason":"shutdown"'))
      )
    })
  )
})
