/** What cannot be meant, or cannot be done: named in one line, with what is allowed, and nothing is altered. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { temporaryDirectory } from "../api/Served.ts"
import { runHere } from "./InProcess.ts"
import { quiet, up } from "./Nodes.ts"
import { type Ran, run } from "./Run.ts"

const refused = (ran: Ran, code: number, expected: RegExp | string) => {
  assert.deepStrictEqual([ran.code, ran.out], [code, ""], ran.err)
  if (typeof expected === "string") assert.strictEqual(ran.err, expected)
  else assert.match(ran.err, expected)
  assert.strictEqual(ran.err.trimEnd().split("\n").length, 1, "one line")
}

describe("a verb refuses", () => {
  it.live(
    "what it cannot mean: exit 2, with what was given and what is allowed",
    () =>
      Effect.gen(function* () {
        const dataDir = join(yield* temporaryDirectory, "none")
        const inProcesses = ["send a", "priority x urgent", "bogus"]
        const cases: ReadonlyArray<readonly [args: string, expected: RegExp]> = [
          ["block", /^kith: Missing required argument: \w+\. See: kith block --help\n$/],
          ["send", /^kith: say what to send: PATH, or --again ID\. See: kith send --help\n$/],
          ["send a", /^kith: say to whom: --to PEER or --all\. See: kith send --help\n$/],
          ["send a --to ", /PEER is empty\. See: kith send --help\n$/],
          ["block ", /PEER is empty\. See: kith block --help\n$/],
          ["accept ", /ID is empty\. See: kith accept --help\n$/],
          ["history --peer ", /PEER is empty/],
          ["send a --to b --all", /^kith: --all and --to exclude each other\./],
          ["send a --to b --priority urgent", /urgent.*low.*normal.*high/],
          ["accept x --conflict ask", /ask.*rename.*skip.*overwrite/],
          ["history --limit 0", /^kith: --limit is "0"; allowed is 1 to 1000\./],
          ["history --limit many", /limit.*many/],
          ["history --watch --search x", /^kith: --watch goes with neither --search nor --mark-read\./],
          ["history --search x --mark-read", /--mark-read does not go with --search/],
          ["transfers --list", /^kith: say of which transfer: --list with ID\./],
          ["transfers x --watch", /^kith: --watch follows all transfers/],
          ["set colour red", /^kith: there is no setting "colour"; there are name, status, accept, caps\./],
          ["set accept", /^kith: say what accept is to be/],
          ["set accept some", /^kith: "some" is no value of accept; allowed is ask, verified, everyone, nobody\./],
          ["set caps fast", /^kith: "fast" are no caps; allowed is none, or a speed/],
          ["set name x --peer bob", /^kith: name is of this node alone/],
          ["priority x urgent", /urgent.*low.*normal.*high/],
          ["peers --bogus", /^kith: Unrecognized flag: --bogus.*See: kith peers --help\n$/],
          ["bogus", /^kith: .*bogus.*See: kith --help\n$/],
          ["up --send-cap 1", /^kith: --send-cap is "1"; allowed is none, or a speed such as 500KiB/],
          ["up --conflict ask", /^kith: --conflict is "ask"; allowed is rename, skip, overwrite\n$/]
        ]
        for (const [args, expected] of cases) {
          const typed = ["--data-dir", dataDir, ...args.split(" ")]
          const here = yield* runHere(typed)
          refused(here, 2, expected)
          // A process says the same.
          if (inProcesses.includes(args)) assert.deepStrictEqual(yield* run(typed), here)
        }
        const fromEnv = yield* run(["peers"], {
          env: { KITH_DATA_DIR: dataDir, KITH_ACCEPT: "x" }
        })
        assert.strictEqual(fromEnv.code, 3, "a variable of up alone is nothing to other verbs")
        refused(yield* run(["up"], { env: { KITH_ACCEPT: "some" } }), 2, /^kith: KITH_ACCEPT is "some"; allowed is ask/)
        assert.isFalse(existsSync(dataDir))
      }),
    60_000
  )

  it.live(
    "without a node: exit 3, and how to start one",
    () =>
      Effect.gen(function* () {
        const dataDir = join(yield* temporaryDirectory, "no ne")
        const verbs = ["peers", "id", "transfers", "alarms", "history", "invite", "open", "set", "verify b", "say x"]
        const expected = `kith: no node is running for ${dataDir}; start one with: kith up --data-dir "${dataDir}"\n`
        for (const verb of verbs) refused(yield* runHere(["--data-dir", dataDir, ...verb.split(" ")]), 3, expected)
        refused(yield* run(["--data-dir", dataDir, "peers"]), 3, expected)
        assert.isFalse(existsSync(dataDir))
      }),
    60_000
  )

  it.live(
    "whom or what it does not know: exit 1, with candidates",
    () =>
      Effect.gen(function* () {
        const alice = yield* up(yield* temporaryDirectory, "--name", "alice")
        const nodes = yield* Effect.forEach(["twin", "twin", "bob"], (name) =>
          Effect.flatMap(temporaryDirectory, (dir) => up(dir, "--name", name))
        )
        for (const { address } of nodes) yield* alice.kith("add", address)
        refused(
          yield* alice.kith("say", "x", "--to", "carol"),
          1,
          /^kith: no peer is called "carol"\. Known: .*bob.*\n$/
        )
        const ambiguous = yield* alice.kith("block", "twin")
        refused(ambiguous, 1, /^kith: "twin" .*\b[a-z2-7]{8}\b.*\b[a-z2-7]{8}\b.*\n$/)
        for (const verb of ["accept", "decline", "cancel", "pause", "resume", "transfers"]) {
          refused(
            yield* alice.kith(verb, "zzzz"),
            1,
            `kith: no transfer has the id "zzzz". List them with: kith transfers\n`
          )
        }
        refused(yield* alice.kith("alarms", "--dismiss", "zz"), 1, /^kith: no open alarm has the id "zz"/)
        const missing = join(alice.dataDir, "missing")
        refused(yield* alice.kith("send", missing, "--to", "bob"), 1, /^kith: .*missing was not sent: .*\n$/)

        // Two of one name are worth an alarm, which is there until it is put away.
        const alarms = JSON.parse((yield* alice.kith("alarms", "--json")).out)
        assert.deepStrictEqual(
          alarms.map(({ kind }: { readonly kind: string }) => kind),
          ["changedKey"]
        )
        assert.include((yield* alice.kith("peers")).err, "ALARM: 1 alarm not put away yet; see: kith alarms\n")
        assert.match(
          (yield* alice.kith("doctor")).out,
          /PROBLEM {2}alarm \w{8}: a peer with another key .*\n +Once it is understood: kith alarms --dismiss \w{8}\n/
        )
        assert.strictEqual(
          (yield* alice.kith("alarms", "--dismiss", alarms[0].id.slice(0, 6))).out,
          "put away: 1 alarm\n"
        )
        assert.strictEqual((yield* alice.kith("alarms")).out, "no alarms\n")
      }),
    60_000
  )
})

/** As root everything is allowed: then another user is asked. */
const nobody = 65_534
const asNobody = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}

/** Every file below, with what is in it: to see that nothing was altered. */
const contents = (dir: string): ReadonlyArray<string> =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => {
      const { isFile, mode } = { isFile: statSync(path).isFile(), mode: statSync(path).mode }
      return `${path} ${mode.toString(8)} ${isFile ? readFileSync(path, "base64") : ""}`
    })
    .toSorted()

describe.skipIf(process.platform === "win32")("a node does not start", () => {
  it.live(
    "on a directory that it may not write, nor with a key that others may read; nothing is altered",
    () =>
      Effect.gen(function* () {
        const dir = yield* temporaryDirectory
        chmodSync(dir, 0o755)
        const owned = join(dir, "owned")
        mkdirSync(owned, { mode: 0o700 })
        if (asNobody.uid !== undefined) chownSync(owned, nobody, nobody)
        const start = (dataDir: string, ...args: ReadonlyArray<string>) =>
          run(["--data-dir", dataDir, "up", "--received", join(dir, "received"), ...args], asNobody)

        const locked = join(dir, "locked")
        mkdirSync(locked, { mode: 0o555 })
        refused(
          yield* start(join(locked, "below"), ...quiet),
          1,
          /^kith: the data directory .*locked\/below cannot be used.*EACCES.*\n$/
        )
        refused(yield* start(locked, ...quiet), 1, /^kith: the data directory .*locked cannot be used.*\n$/)
        assert.deepStrictEqual(readdirSync(locked), [])

        // Made by a first start, which ends for want of a port it may have.
        const first = yield* start(owned, "--no-discovery", "--host", "192.0.2.1")
        assert.strictEqual(first.code, 1)
        chmodSync(join(owned, "identity.pem"), 0o644)
        const before = contents(owned)
        const exposed = yield* start(owned, ...quiet)
        assert.deepStrictEqual([exposed.code, exposed.out], [1, ""], exposed.err)
        assert.match(exposed.err, /^kith: .*identity\.pem.*chmod 600.*\n$/)
        assert.deepStrictEqual(contents(owned), before)
        writeFileSync(join(owned, "identity.pem"), "not a key", { mode: 0o600 })
        chmodSync(join(owned, "identity.pem"), 0o600)
        const damaged = contents(owned)
        const refusedKey = yield* start(owned, ...quiet)
        assert.deepStrictEqual([refusedKey.code, refusedKey.out], [1, ""], refusedKey.err)
        assert.deepStrictEqual(contents(owned), damaged)
      }),
    60_000
  )
})
