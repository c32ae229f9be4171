/**
 * Cases 85 to 90 with the real command as another process: what it cannot use it refuses in one line, with a code that
 * is not 0, and leaves as it is; and what strangers chose to call things moves no terminal.
 *
 * 88 is in test/cli/up.test.ts, 89 also in test/cli/client.test.ts (a stranger on the API's port gets no token).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { listening, quiet, up } from "../cli/Nodes.ts"
import { run } from "../cli/Run.ts"
import { type Entry, type Json, Mallory, page, block } from "./Attacker.ts"
import { persona, randomId } from "./Forge.ts"
import { attack, temporaryDirectory } from "./Target.ts"

const identity = (dir: string) => join(dir, "identity.pem")

/** Spoils the identity of a node that ran once. [number, what, how, what is said]. */
const spoiled: ReadonlyArray<readonly [number, string, (file: string) => void, RegExp]> = [
  [85, "cut in half", (file) => fs.truncateSync(file, fs.statSync(file).size >> 1), /damaged/],
  [85, "empty", (file) => fs.truncateSync(file, 0), /damaged/],
  [85, "full of zeros", (file) => fs.writeFileSync(file, Buffer.alloc(1000)), /damaged/],
  [86, "readable by others", (file) => fs.chmodSync(file, 0o644), /may read it.*chmod 600/],
  [86, "readable by the group", (file) => fs.chmodSync(file, 0o640), /may read it.*chmod 600/],
  [
    87,
    "with another's certificate",
    (file) => {
      const key = fs.readFileSync(file, "utf8").split("-----BEGIN CERTIFICATE-----")[0] ?? ""
      fs.writeFileSync(file, key + persona().cert)
    },
    /do not belong together/
  ]
]

describe("config:", () => {
  for (const [number, what, spoil, says] of spoiled) {
    it.live(`${number} an identity ${what} stops the node in one line, and stays as it is`, () =>
      Effect.gen(function* () {
        const dir = yield* temporaryDirectory
        const { cert, key } = persona()
        fs.writeFileSync(identity(dir), key + cert, { mode: 0o600 })
        spoil(identity(dir))
        const before = fs.readFileSync(identity(dir))
        const ran = yield* run(["up", "--data-dir", dir, ...quiet])
        assert.deepStrictEqual([ran.code, ran.out], [1, ""])
        assert.match(ran.err, says)
        assert.strictEqual(ran.err.trimEnd().split("\n").length, 1, ran.err)
        assert.notInclude(ran.err, "PRIVATE KEY")
        assert.isTrue(fs.readFileSync(identity(dir)).equals(before))
        assert.isFalse(fs.existsSync(join(dir, "control.json")))
      })
    )
  }

  it.live("85 a database that is none stops the node or is not touched", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      fs.writeFileSync(join(dir, "lock"), "this is no lock, and longer than the head of a database file".repeat(20))
      const ran = yield* run(["up", "--data-dir", dir, ...quiet])
      assert.strictEqual(ran.code, 1)
      assert.strictEqual(ran.err.trimEnd().split("\n").length, 1, ran.err)
    })
  )

  it.live("89 a port that a stranger holds, where a person asked for it, is told in one line", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const port = yield* listening(net.createServer())
      const ran = yield* run(["up", "--data-dir", dir, "--no-discovery", "--host", "127.0.0.1", "--port", String(port)])
      assert.deepStrictEqual([ran.code, ran.out], [1, ""])
      const lines = ran.err
        .trimEnd()
        .split("\n")
        .filter((line) => !line.includes(" INFO "))
      assert.strictEqual(lines.length, 1, ran.err)
      assert.match(lines[0] ?? "", /another program listens on that port/)
    })
  )

  it.live(
    "what strangers named moves no terminal: names, messages and files in every listing, key and token for no one else",
    () =>
      Effect.gen(function* () {
        const dir = yield* temporaryDirectory
        const node = yield* up(dir, "--accept", "everyone", "--name", "target")
        const port = Number(node.address.split(":")[1])
        const nasty = "\u001b[31mred\u001b]0;owned\u0007\n\u202etxt.exe\u200b"
        const mallory = yield* attack(() => Mallory.meet(port, persona(), { name: nasty }))
        const chat = { _tag: "Chat", id: randomId(), epoch: randomId(), first: 1, seq: 1, toEveryone: false, sentAt: 0 }
        yield* attack(() => mallory.control.say({ ...chat, text: `${nasty}\r\u001b[1A fake line` }))
        yield* attack(() => mallory.control.next("ChatReceipt"))
        const names = ["-rf", "--help", "\u202egnp.exe", "a b", "$(id)", "\u200b"]
        const entries = names.map((name): Entry => [`-dir/${name}`, "f", 5, 0, 0])
        yield* attack(async () => {
          await mallory.offerPages([page(entries)], (asked: Json) => {
            if (asked._tag !== "Want") return undefined
            const numbers = Array.from({ length: Number(asked["count"]) }, (_, at) => Number(asked["first"]) + at)
            return Buffer.concat(numbers.map((number) => block(number, Buffer.from("hello"))))
          })
          await mallory.control.next("TransferDone")
          await mallory.offer({ name: nasty.replaceAll("\n", " ") })
        })
        assert.sameMembers(fs.readdirSync(join(node.received, "-dir")), names)
        for (const verb of [
          ["peers"],
          ["history"],
          ["transfers"],
          ["peers", "--json"],
          ["history", "--json"],
          ["transfers", "--json"]
        ]) {
          const ran = yield* node.kith(...verb)
          assert.strictEqual(ran.code, 0, ran.err)
          // oxlint-disable-next-line no-control-regex -- finding control characters is the point
          assert.notMatch(ran.out + ran.err, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/, verb.join(" "))
        }
        const listed = yield* node.kith("peers")
        assert.include(listed.out, "red")
        assert.strictEqual(listed.out.split("\n").filter((line) => line.includes("owned")).length, 1)
        // oxlint-disable-next-line no-control-regex -- finding control characters is the point
        assert.notMatch(node.node.out + node.node.err, /[\u0000-\u0008\u000b-\u001f\u202e]/)
        for (const file of ["identity.pem", "control.json"]) {
          assert.strictEqual(fs.statSync(join(dir, file)).mode & 0o077, 0, file)
        }
        mallory.end()
      }),
    25_000
  )

  it.live("the log moves no terminal either, as JSON and with every detail", () =>
    Effect.gen(function* () {
      const node = yield* up(yield* temporaryDirectory, "--log-format", "json", "--log-level", "debug")
      const port = Number(/"port":"?(\d+)/.exec(node.node.out)?.[1] ?? node.address.split(":")[1])
      const name = "\u009b31mred\u202etxt.exe\u007f"
      const mallory = yield* attack(() => Mallory.meet(port, persona(), { name }))
      yield* attack(async () => {
        await mallory.control.say({ _tag: "Chat\u009b2J\u202e" })
        await mallory.control.say({ _tag: "Chat", text: name })
        await mallory.control.next("Refused")
        await mallory.control.say({ _tag: "Goodbye", reason: name, message: name })
        await mallory.control.closed
      })
      yield* node.node.until((printed) => printed.includes("A session ended."))
      // oxlint-disable-next-line no-control-regex -- finding control characters is the point
      assert.notMatch(node.node.out + node.node.err, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
      assert.include(node.node.out, "red")
    })
  )
})
