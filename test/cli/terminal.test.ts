/** What a person sees and types on a terminal, with real nodes: questions, progress bars, a conversation. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryDirectory } from "../api/Served.ts"
import { quiet, up } from "./Nodes.ts"
import { hasPty, onTerminal } from "./Pty.ts"
import { start } from "./Run.ts"

/** A node on a terminal, and its address. */
const upOnTerminal = Effect.fnUntraced(function* (dataDir: string, ...args: ReadonlyArray<string>) {
  const received = join(dataDir, "received_files")
  const node = yield* onTerminal(["up", "--data-dir", dataDir, "--received", received, ...quiet, ...args])
  yield* node.running.until((printed) => printed.includes("API "))
  const port = /listens on +\S+:(\d+)/.exec(node.seen())?.[1] ?? ""
  return { ...node, received, address: `127.0.0.1:${port}` }
})

/** Some files, one of them with a name that would turn a terminal's text around. */
const someFiles = Effect.fnUntraced(function* () {
  const source = join(yield* temporaryDirectory, "photos")
  mkdirSync(join(source, "deep"), { recursive: true })
  writeFileSync(join(source, "one.jpg"), "1".repeat(100_000))
  writeFileSync(join(source, "deep", "t\u202ewo.jpg"), "2")
  return source
})

describe.skipIf(!hasPty)("on a terminal", () => {
  it.live("up asks about an offer: who, what, where to; shows its list, and takes the answer", () =>
    Effect.gen(function* () {
      const alice = yield* upOnTerminal(yield* temporaryDirectory, "--name", "alice")
      const bob = yield* up(yield* temporaryDirectory, "--name", "bob\u001b[2J")
      yield* bob.kith("add", alice.address)
      yield* alice.running.until((printed) => printed.includes("is here"))

      const source = yield* someFiles()
      const sending = yield* start(["--data-dir", bob.dataDir, "send", source, "--to", "alice"])
      yield* alice.running.until((printed) => printed.includes("Take it?"))
      assert.match(
        alice.seen(),
        /bob\ufffd\[2J \([a-z2-7]{8}, unverified\) offers photos \(2 files, 97\.7 KiB\), to be stored in \S+/
      )
      yield* alice.type("l\n")
      yield* alice.running.until((printed) => printed.includes("one.jpg"))
      yield* alice.running.until((printed) => printed.includes("t\ufffdwo.jpg"))
      yield* alice.type("what?\n")
      yield* alice.running.until((printed) => printed.includes("y takes the oldest offer"))
      yield* alice.type("y zzzz\n")
      yield* alice.running.until((printed) => printed.includes(`no offer has the id "zzzz"`))
      yield* alice.type("y\n")
      const sent = yield* Effect.promise(() => sending.ended)
      assert.strictEqual(sent.code, 0, sent.err)
      assert.match(
        sent.out,
        /^alice: waiting for an answer\n(alice: .*\n)*delivered to alice: photos \(2 files, 97\.7 KiB\)\n {2}stored there as photos\n$/
      )
      yield* alice.running.until((printed) => printed.includes("received photos (2 files, 97.7 KiB) from bob"))
      assert.strictEqual(readFileSync(join(alice.received, "photos", "one.jpg"), "utf8").length, 100_000)

      const refused = yield* start(["--data-dir", bob.dataDir, "send", source, "--to", "alice"])
      yield* alice.running.until(() => alice.seen().split("Take it?").length === 3)
      yield* alice.type("n\n")
      assert.strictEqual((yield* Effect.promise(() => refused.ended)).code, 4)
      const kept = readdirSync(alice.received).filter((name) => name !== ".kith")
      assert.deepStrictEqual(kept, ["photos"])
      // Nothing of what others chose reached the terminal but as it should.
      assert.notInclude(alice.running.out, "\u001b[2J")
      assert.notInclude(alice.running.out, "\u202e")
      yield* alice.type("\u0003")
      assert.strictEqual((yield* Effect.promise(() => alice.running.ended)).code, 0)
    }).pipe(Effect.scoped)
  )

  it.live("send draws bars, one for each peer, and ends with what became of it", () =>
    Effect.gen(function* () {
      const alice = yield* up(yield* temporaryDirectory, "--name", "alice")
      const bob = yield* up(yield* temporaryDirectory, "--name", "bob", "--accept", "everyone")
      const carol = yield* up(yield* temporaryDirectory, "--name", "carol", "--accept", "nobody")
      for (const { address } of [bob, carol]) yield* alice.kith("add", address)
      const source = yield* someFiles()
      mkdirSync(join(bob.received, "photos"), { recursive: true })
      const to = ["--to", "bob", "--to", "carol"]
      const sending = yield* onTerminal(["--data-dir", alice.dataDir, "send", source, ...to])
      const { code } = yield* Effect.promise(() => sending.running.ended)
      assert.strictEqual(code, 4)
      const seen = sending.seen()
      assert.match(seen, /bob {4}[█░]{24} +\d+% {2}.* of 97\.7 KiB, \d of 2 files {2}/)
      assert.match(seen, /carol {2}[█░]{24}/)
      // Redrawn in place, and cleared before the end.
      assert.include(sending.running.out, "\u001b[2F\u001b[J")
      assert.match(
        seen,
        /delivered to bob: photos \(2 files, 97\.7 KiB\)\n {2}stored there as photos \(1\)\n {2}renamed: photos is photos \(1\), since the name was taken\ndeclined by carol/
      )
      assert.match(seen, /kith: some declined\n$/)
    }).pipe(Effect.scoped)
  )

  it.live("chat: what was said, who is here, and lines that come while one is typed; what is shown is read", () =>
    Effect.gen(function* () {
      const alice = yield* up(yield* temporaryDirectory, "--name", "alice")
      const bob = yield* up(yield* temporaryDirectory, "--name", "bob", "--accept", "everyone")
      yield* alice.kith("add", bob.address)
      yield* alice.kith("say", "earlier", "--to", "bob")
      yield* bob.kith("say", "before alice looked", "--to", "alice")
      const before = JSON.parse((yield* bob.kith("history", "--json")).out)
      assert.strictEqual(before.at(-1).state, "delivered")

      const read = yield* start(["--data-dir", bob.dataDir, "history", "--watch", "--json"])
      const talk = yield* onTerminal(["--data-dir", alice.dataDir, "chat", "--to", "bob"])
      yield* talk.running.until((printed) => printed.includes("here: bob; you talk to bob"))
      assert.match(talk.seen(), /you to bob: earlier\n.*bob to you: before alice looked\n/)
      yield* read.until((printed) => /before alice looked.*"state":"read"/.test(printed))

      // A line arrives in the middle of another one.
      yield* talk.running.until((printed) => printed.includes("bob> "))
      yield* talk.type("half a li")
      yield* bob.kith("say", "in be\u001b[2Jtween", "--to", "alice")
      yield* talk.running.until((printed) => printed.includes("bob (to you): in be\ufffd[2Jtween"))
      yield* talk.type("ne\n")
      yield* read.until((printed) => printed.includes("half a line"))
      yield* talk.type("/bogus\n")
      yield* talk.running.until((printed) => printed.includes("there is no /bogus; /help lists what there is"))
      yield* talk.type("/help\n")
      yield* talk.running.until((printed) => printed.includes("/send PATH"))
      const source = yield* someFiles()
      yield* talk.type(`/send '${source}'\n`)
      yield* talk.running.until((printed) => printed.includes("delivered to bob: photos"))
      yield* talk.type("/to nobody\n")
      yield* talk.running.until((printed) => printed.includes(`no peer is called "nobody"`))
      yield* talk.type("/to\n")
      yield* talk.running.until((printed) => printed.includes("everyone> "))
      yield* talk.type("hello all\n")
      yield* read.until((printed) => printed.includes("hello all"))
      yield* talk.type("/quit\n")
      assert.strictEqual((yield* Effect.promise(() => talk.running.ended)).code, 0)
      assert.notInclude(talk.running.out, "\u001b[2J")
    }).pipe(Effect.scoped)
  )
})
