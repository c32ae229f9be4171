/** The verbs that run a node, each as a process against the API over a fake node: what they print and how they exit. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { answerOf, question } from "../../src/cli/Questions.ts"
import * as ChatLine from "../../src/cli/ChatLine.ts"
import { read as readSet } from "../../src/cli/verbs/set.ts"
import { NodeConfig } from "../../src/config.ts"
import { short } from "../../src/schema/PeerId.ts"
import type { Finding } from "../../src/schema/Finding.ts"
import { Chat } from "../../src/services/Chat.ts"
import { Events } from "../../src/services/Events.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { someMessage } from "../Some.ts"
import { aTransfer, bob, carol, me, someTransfer } from "../api/FakeNode.ts"
import * as Served from "../api/Served.ts"
import { temporaryDirectory } from "../api/Served.ts"
import { listening } from "./Nodes.ts"
import { type Options, run, start } from "./Run.ts"

const kith = Effect.fnUntraced(function* (args: ReadonlyArray<string>, options?: Options) {
  const { dataDir } = yield* NodeConfig
  return yield* run(["--data-dir", dataDir, ...args], options)
})

const started = Effect.fnUntraced(function* (args: ReadonlyArray<string>, options?: Options) {
  const { dataDir } = yield* NodeConfig
  return yield* start(["--data-dir", dataDir, ...args], options)
})

const everyone = Effect.gen(function* () {
  const registry = yield* PeerRegistry
  yield* registry.update(bob, (peer) => ({ ...peer, name: "bob", state: "connected", wanted: true }))
  yield* registry.update(carol, (peer) => ({ ...peer, name: "c\u001b[31mrol", state: "away", wanted: true }))
})

/** A message from bob, as the node would tell of it. */
const said = (n: number, text: string) => ({
  _tag: "MessageAdded" as const,
  message: {
    id: someMessage(n),
    from: bob,
    to: me,
    text,
    sentAt: 1_700_000_000_000,
    state: "delivered" as const,
    recipients: []
  }
})

layer(Served.layer(), { excludeTestServices: true })("a verb", (it) => {
  it.effect("set", () =>
    Effect.gen(function* () {
      yield* everyone
      assert.deepStrictEqual(yield* kith(["set", "name", "al\u001bice"]), {
        code: 0,
        out: "name is al\ufffdice\n",
        err: ""
      })
      assert.strictEqual((yield* kith(["set", "status", "away", "back", "at 3"])).out, "status is away (back at 3)\n")
      assert.strictEqual(
        (yield* kith(["set", "accept", "verified", "--peer", "bob"])).out,
        "accept of bob is verified\n"
      )
      const json = JSON.parse((yield* kith(["set", "accept", "everyone", "--json"])).out)
      assert.deepStrictEqual(json, {
        name: "al\u001bice",
        status: "away",
        statusText: "back at 3",
        accept: "everyone"
      })
      const wrong = yield* kith(["set", "status", "asleep"])
      assert.deepStrictEqual([wrong.code, wrong.out], [2, ""])
      assert.strictEqual(
        wrong.err,
        `kith: "asleep" is no value of status; allowed is available, busy, away. See: kith set --help\n`
      )
      assert.strictEqual((yield* kith(["set", "accept", "ask", "--peer", "nobody"])).code, 1)
      assert.strictEqual((yield* kith(["set", "caps", "5MiB"])).out, "caps are: send 5.0 MiB/s, receive 5.0 MiB/s\n")
      const ofBob = yield* kith(["set", "caps", "send=500KiB", "--peer", "bob"])
      assert.strictEqual(ofBob.out, "caps of bob are: send 500 KiB/s, receive no cap\n")
      assert.deepStrictEqual(JSON.parse((yield* kith(["set", "caps", "none", "--json"])).out), {
        send: null,
        receive: null
      })
    })
  )

  it.effect("open --print", () =>
    Effect.gen(function* () {
      const printed = yield* kith(["open", "--print"])
      assert.deepStrictEqual([printed.code, printed.err], [0, ""])
      assert.match(printed.out, /^http:\/\/127\.0\.0\.1:\d+\/#code=[\w-]{43}\n$/)
      // Without a screen the link is printed as well.
      const none = yield* kith(["open"], { env: { DISPLAY: "", WAYLAND_DISPLAY: "", PATH: "" } })
      assert.match(none.out, /#code=/)
    })
  )

  it.effect("doctor", () =>
    Effect.gen(function* () {
      const plain = yield* kith(["doctor"])
      assert.strictEqual(plain.code, 0, plain.out + plain.err)
      assert.match(plain.out, /^ok {7}node: is running/)
      assert.include(plain.out, "interface eth0 192.0.2.1: announced 3 times, heard 2 announcements of others\n")
      const { dataDir } = yield* NodeConfig
      writeFileSync(join(dataDir, "identity.pem"), "", { mode: 0o644 })
      const json = yield* kith(["doctor", "--json"])
      assert.deepStrictEqual([json.code, json.err], [1, "kith: 1 problem found\n"])
      const problem = JSON.parse(json.out).find(({ severity }: { readonly severity: string }) => severity === "problem")
      assert.include(problem, { check: "key", text: "others may read it (mode 644)" })
      assert.match(problem.remedy, /^Run: chmod 600 '/)
    })
  )

  it.effect("watch: what there is, then what changes, an event a line", () =>
    Effect.gen(function* () {
      yield* everyone
      const registry = yield* PeerRegistry
      const events = yield* Events
      const json = yield* started(["peers", "--watch", "--json"])
      const plain = yield* started(["peers", "--watch"])
      yield* json.until((printed) => printed.split("\n").length > 2)
      yield* plain.until((printed) => printed.split("\n").length > 2)
      const bobs = () =>
        json.out
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line))
      assert.deepStrictEqual(
        bobs().map(({ _tag, peer }) => [_tag, peer.id]),
        [
          ["PeerChanged", bob],
          ["PeerChanged", carol]
        ]
      )
      yield* registry.update(bob, (peer) => ({ ...peer, status: "busy", statusText: "in a \u001b[2Jcall" }))
      yield* json.until((printed) => printed.includes("busy"))
      yield* plain.until((printed) => printed.includes("busy"))
      assert.include(bobs().at(-1).peer, { status: "busy", statusText: "in a \u001b[2Jcall" })
      assert.include(
        plain.out,
        `${short(bob)}  bob  connected (busy: in a \ufffd[2Jcall)  unverified, accept verified\n`
      )
      assert.notInclude(json.out + plain.out, "\u001b")
      // A reader that goes away is no error: it has seen enough.
      json.child.stdout?.destroy()
      yield* events.publish({ _tag: "PeerRemoved", id: bob })
      yield* plain.until((printed) => printed.includes(`${short(bob)} is forgotten`))
      assert.strictEqual((yield* Effect.promise(() => json.ended)).code, 0)
      assert.strictEqual(json.err, "")
    }).pipe(Effect.scoped)
  )

  it.effect("watch: messages and transfers", () =>
    Effect.gen(function* () {
      yield* everyone
      const events = yield* Events
      const chat = yield* Chat
      const registry = yield* PeerRegistry
      yield* chat.say("before", bob)
      const history = yield* started(["history", "--watch", "--peer", "bob"])
      const transfers = yield* started(["transfers", "--watch"])
      const asJson = yield* started(["transfers", "--watch", "--json"])
      const transfer = yield* Transfer
      const [running] = yield* transfer.send(["/srv/waits"], [bob])
      assert(running !== undefined)
      yield* history.until((printed) => printed.includes("you to bob: before\n"))
      yield* events.publish(said(90, "hi \u001b[2J"))
      yield* history.until((printed) => printed.includes("bob to you: hi \ufffd[2J\n"))
      yield* transfers.until((printed) => printed.includes("offered  to bob  waits\n"))
      yield* asJson.until((printed) => printed.includes(running.id))
      for (const bytes of [0, 1000, 2000, 2 * 1024 * 1024]) {
        yield* events.publish({ _tag: "TransferChanged", transfer: { ...running, state: "running", bytes } })
      }
      yield* registry.update(bob, (peer) => ({ ...peer, name: "robert" }))
      yield* events.publish({ _tag: "TransferChanged", transfer: { ...running, state: "done" } })
      yield* transfers.until((printed) => printed.includes("done  to robert  waits\n"))
      yield* asJson.until((printed) => printed.includes(`"state":"done"`))
      // Progress within a tenth is no news.
      assert.strictEqual(transfers.out.match(/running 0%/g)?.length, 1)
      assert.include(transfers.out, "running 60%")
      assert.strictEqual(asJson.out.match(new RegExp(`${running.id}.*"running"`, "g"))?.length, 4)
    }).pipe(Effect.scoped)
  )

  it.effect("chat, over a pipe", () =>
    Effect.gen(function* () {
      yield* everyone
      const events = yield* Events
      const registry = yield* PeerRegistry
      const talk = yield* started(["chat", "--to", "bob"], { stdin: "pipe" })
      const type = (line: string) => Effect.sync(() => void talk.child.stdin?.write(`${line}\n`))
      yield* talk.until((printed) => printed.includes("here: bob; you talk to bob\n"))
      yield* type("hello bob")
      yield* type("//not a command")
      yield* events.publish(said(91, "two\nlines \u001b[2J"))
      yield* talk.until((printed) => printed.includes("bob (to you): two\n  lines \ufffd[2J\n"))
      yield* registry.update(bob, (peer) => ({ ...peer, name: "robert" }))
      yield* talk.until((printed) => printed.includes("* bob is robert now\n"))
      yield* registry.update(bob, (peer) => ({ ...peer, name: "bob" }))
      yield* talk.until((printed) => printed.includes("* robert is bob now\n"))
      yield* registry.update(bob, (peer) => ({ ...peer, state: "away" }))
      yield* talk.until((printed) => printed.includes("* bob left\n"))
      yield* type("/to c")
      yield* talk.until((printed) => printed.includes(`* no peer is called "c"`))
      yield* type(`/to ${short(carol)}`)
      yield* talk.until((printed) => printed.includes("you talk to c\ufffd[31mrol"))
      yield* type("are you there?")
      yield* talk.until((printed) => printed.includes("* waiting for c\ufffd[31mrol; it goes out when they are back\n"))
      yield* events.publish({
        _tag: "TransferChanged",
        transfer: aTransfer(someTransfer(60), { direction: "receive", name: "of\u001bfer" })
      })
      yield* talk.until((printed) => printed.includes("* bob offers of\ufffdfer (3 files, 3.0 MiB): /accept "))
      yield* type("/bogus")
      yield* talk.until((printed) => printed.includes("* there is no /bogus; /help lists what there is\n"))
      yield* type("/quit")
      assert.strictEqual((yield* Effect.promise(() => talk.ended)).code, 0)
      assert.notInclude(talk.out, "\u001b")
      assert.strictEqual(talk.err, "")
      const said2 = (yield* (yield* Chat).history({ limit: 3 })).map(({ text, to }) => [text, to])
      assert.deepStrictEqual(said2, [
        ["hello bob", bob],
        ["/not a command", bob],
        ["are you there?", carol]
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("chat ends where nobody reads it any more", () =>
    Effect.gen(function* () {
      yield* everyone
      const talk = yield* started(["chat"], { stdin: "pipe" })
      yield* talk.until((printed) => printed.includes("here: bob\n"))
      talk.child.stdout?.destroy()
      yield* (yield* Events).publish(said(92, "is anyone there?"))
      assert.strictEqual((yield* Effect.promise(() => talk.ended)).code, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("chat ends with its input, after all of it was said", () =>
    Effect.gen(function* () {
      yield* everyone
      const talk = yield* started(["chat"], { stdin: "pipe" })
      talk.child.stdin?.end("one\ntwo\nthree")
      assert.strictEqual((yield* Effect.promise(() => talk.ended)).code, 0)
      const texts = (yield* (yield* Chat).history({ limit: 3 })).map(({ text }) => text)
      assert.deepStrictEqual(texts, ["one", "two", "three"])
      assert.strictEqual((yield* kith(["chat", "--to", "nobody"])).code, 1)
    }).pipe(Effect.scoped)
  )
})

describe("without a node", () => {
  it.live("doctor says what can be told, and changes nothing", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const dataDir = join(dir, "none")
      const port = yield* listening(createServer())
      const env = {
        KITH_DATA_DIR: dataDir,
        KITH_PORT: String(port),
        KITH_HOST: "127.0.0.1",
        KITH_DISCOVERY_PORT: "19097"
      }
      const fine = yield* run(["doctor", "--json"], { env })
      const findings: ReadonlyArray<Finding> = JSON.parse(fine.out)
      assert.include(
        findings.find(({ check }) => check === "node"),
        { severity: "note" }
      )
      assert.include(
        findings.find(({ subject }) => subject === `TCP ${port}`),
        { text: "is taken by another program" }
      )
      const file = join(dir, "file")
      writeFileSync(file, "")
      const ran = yield* run(["doctor"], { env: { ...env, KITH_DATA_DIR: file } })
      assert.deepStrictEqual([ran.code, ran.err], [1, "kith: 1 problem found\n"])
      assert.include(ran.out, "PROBLEM  folder")
      mkdirSync(dataDir)
      writeFileSync(join(dataDir, "identity.pem"), "", { mode: 0o600 })
      chmodSync(join(dataDir, "identity.pem"), 0o640)
      const exposed = yield* run(["doctor"], { env })
      assert.strictEqual(exposed.code, 1)
      assert.include(exposed.out, "others may read it (mode 640)\n         Run: chmod 600")
    })
  )

  it.live("verbs explain themselves with examples, and shells complete them", () =>
    Effect.gen(function* () {
      const all =
        "up id peers add remove verify invite join block unblock say chat history send transfers accept decline " +
        "pause resume priority cancel set alarms open doctor complete"
      const verbs = all.split(" ")
      const helped = Effect.fnUntraced(function* (verb: string) {
        const help = yield* run([verb, "--help"])
        assert.strictEqual(help.code, 0, verb)
        assert.match(help.out, /EXAMPLES[\s\S]*kith /, verb)
      })
      yield* Effect.forEach(verbs, helped, { concurrency: 4 })
      const completed = Effect.fnUntraced(function* (shell: string) {
        const script = yield* run(["--completions", shell])
        assert.strictEqual(script.code, 0)
        for (const word of ["doctor", "transfers", "watch"]) assert.include(script.out, word, shell)
      })
      yield* Effect.forEach(["bash", "zsh", "fish"], completed, { concurrency: 3 })
    })
  )
})

/** Why it is no setting. */
const problem = (key: string, values: ReadonlyArray<string>, ofPeer = false) =>
  Result.match(readSet(key, values, ofPeer), { onFailure: (error) => error.problem, onSuccess: () => "accepted" })

describe("what is typed", () => {
  it("into chat", () => {
    assert.deepStrictEqual(ChatLine.read('  /send a \'b c\' "d \\"e" f\\ g '), {
      _tag: "Send",
      paths: ["a", "b c", 'd "e', "f g"]
    })
    assert.deepStrictEqual(ChatLine.read("/to"), { _tag: "To", peer: null })
    assert.deepStrictEqual(ChatLine.read("/to Alice's laptop".replace("'", "\\'")), {
      _tag: "To",
      peer: "Alice's laptop"
    })
    assert.deepStrictEqual(ChatLine.read(" "), { _tag: "Nothing" })
    assert.deepStrictEqual(ChatLine.read("  indented "), { _tag: "Say", text: "  indented" })
    assert.deepStrictEqual(ChatLine.read("/accept abc"), { _tag: "Decide", accept: true, id: "abc" })
    assert.strictEqual(ChatLine.read("/send")._tag, "Wrong")
  })

  it("as an answer to an offer", () => {
    const decide = (accept: boolean, of: string | null) => ({ _tag: "Decide" as const, accept, of })
    assert.deepStrictEqual([" y ", "Yes", "n", "NO 4k2m", "Y", "N", "l", "list 4k2m"].map(answerOf), [
      decide(true, null),
      decide(true, null),
      decide(false, null),
      decide(false, "4k2m"),
      decide(true, "all"),
      decide(false, "all"),
      { _tag: "List", of: null },
      { _tag: "List", of: "4k2m" }
    ])
    for (const none of ["", "yy", "yep", "1", "hello", "y a b", "Y 4k2m"]) assert.isNull(answerOf(none))
  })

  it("about an offer names key, trust, place and room", () => {
    const offer = aTransfer(someTransfer(1), { direction: "receive", name: "pho\u202etos", freeBytes: 5 * 2 ** 20 })
    const about = { name: "bob", trust: "unverified", into: "./in", canAnswer: true }
    const id = offer.id.slice(0, 8)
    assert.deepStrictEqual(question(offer, about), [
      `bob (${short(bob)}, unverified) offers pho\ufffdtos (3 files, 3.0 MiB), to be stored in ./in, where 5.0 MiB are free`,
      `  Take it? y or n, l for the list; or later: kith accept ${id}`
    ])
    const [full = "", elsewhere] = question({ ...offer, freeBytes: 10, listing: true }, { ...about, canAnswer: false })
    assert.include(
      full,
      "3.0 MiB) so far, and is still listing, to be stored in ./in, where there is NOT enough room: 10 B are free"
    )
    assert.strictEqual(
      elsewhere,
      `  Take it: kith accept ${id}   Refuse it: kith decline ${id}   See it: kith transfers ${id} --list`
    )
  })

  it("as a setting, or why it is none", () => {
    assert.include(problem("name", [""]), "1 to 64 bytes")
    assert.include(problem("name", ["two", "words"]), "put it in quotes")
    assert.include(problem("status", ["busy", "x".repeat(257)]), "has 257 bytes; allowed are 256")
    assert.include(problem("accept", ["default"]), "allowed is ask, verified, everyone, nobody")
    assert.include(problem("accept", ["none"], true), "allowed is ask, verified, everyone, nobody, default")
    assert.include(problem("name", ["x"], true), "with --peer go accept and caps")
    assert.include(problem("colour", ["red"]), "there are name, status, accept, caps")
    for (const caps of [
      ["fast"],
      ["1"],
      ["1KiB"],
      ["-5MiB"],
      ["1e9"],
      ["5MiB", "6MiB"],
      ["send="],
      ["up=5MiB"],
      [""]
    ]) {
      assert.include(problem("caps", caps), "are no caps; allowed is none, or a speed", caps.join(" "))
    }
    for (const caps of [["none"], ["8192"], ["500KiB"], ["1.5MB/s"], ["send=5MiB", "receive=none"]]) {
      assert.strictEqual(problem("caps", caps, true), "accepted", caps.join(" "))
    }
    assert.strictEqual(problem("accept", ["default"], true), "accepted")
  })
})
