/** What was typed wins over the environment, and that over defaults; a bad value names itself and what is allowed. */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import {
  type Flag,
  readCollector,
  readDataDir,
  readSettings,
  type Surroundings,
  type Typed
} from "../../src/cli/Settings.ts"
import { tcp } from "../../src/schema/Address.ts"
import { byteLength } from "../../src/schema/Text.ts"

const around: Surroundings = {
  env: {},
  platform: "linux",
  home: "/home/alice",
  hostname: "laptop",
  cwd: "/somewhere"
}

const read = (typed: Typed, env: Record<string, string> = {}) =>
  Result.getOrThrow(readSettings(typed, { ...around, env }))
const refused = (typed: Typed, env: Record<string, string> = {}) =>
  Result.match(readSettings(typed, { ...around, env }), {
    onFailure: (error) => error.message,
    onSuccess: () => "accepted"
  })

const nameOf = (hostname: string) => Result.getOrThrow(readSettings({}, { ...around, hostname })).node.name
const dir = (change: Partial<Surroundings>) => Result.getOrThrow(readDataDir({}, { ...around, ...change }))

describe("settings", () => {
  it("have defaults", () => {
    assert.deepStrictEqual(read({}), {
      node: {
        name: "laptop",
        dataDir: "/home/alice/.local/share/kith",
        received: "/somewhere/received_files",
        host: "::",
        port: 9090,
        portIsFixed: false,
        discovery: true,
        discoveryPort: 9090,
        peers: [],
        accept: "ask",
        conflict: "rename",
        sendCap: null,
        receiveCap: null,
        apiPort: 9091,
        fallbacks: ["name", "accept", "sendCap", "receiveCap"]
      },
      logFormat: "pretty",
      logLevel: "info"
    })
  })

  it("are taken from flags first, then from the environment", () => {
    const env = {
      KITH_NAME: "env",
      KITH_DATA_DIR: "data",
      KITH_RECEIVED: "/in",
      KITH_HOST: "127.0.0.1",
      KITH_PORT: "1",
      KITH_DISCOVERY_PORT: "2",
      KITH_NO_DISCOVERY: "yes",
      KITH_PEER: "a:1,[fe80::1%eth0]:2",
      KITH_ACCEPT: "nobody",
      KITH_CONFLICT: "skip",
      KITH_SEND_CAP: "5MB/s",
      KITH_RECEIVE_CAP: "none",
      KITH_API_PORT: "0",
      KITH_LOG_FORMAT: "json",
      KITH_LOG_LEVEL: "debug"
    }
    const fromEnv = read({}, env)
    assert.deepStrictEqual(fromEnv, {
      node: {
        name: "env",
        dataDir: "/somewhere/data",
        received: "/in",
        host: "127.0.0.1",
        port: 1,
        portIsFixed: true,
        discovery: false,
        discoveryPort: 2,
        peers: [tcp("a", 1), tcp("fe80::1%eth0", 2)],
        accept: "nobody",
        conflict: "skip",
        sendCap: 5_000_000,
        receiveCap: null,
        apiPort: 0,
        fallbacks: []
      },
      logFormat: "json",
      logLevel: "debug"
    })
    const typed = read({ name: "typed", port: "0", peer: "b:3", "data-dir": "../d", accept: "everyone" }, env)
    assert.deepInclude(typed.node, { name: "typed", port: 0, peers: [tcp("b", 3)], dataDir: "/d", accept: "everyone" })
    assert.strictEqual(read({}, { KITH_NAME: "" }).node.name, "laptop")
  })

  it("name what is wrong, what was given and what is allowed", () => {
    const ports = "a port from 1 to 65535"
    for (const bad of ["abc", "-1", "65536", "1.5", "", "0x10", " 1", "999999"]) {
      assert.strictEqual(refused({ port: bad }), `--port is "${bad}"; allowed is ${ports}, or 0 for any free one`)
      assert.strictEqual(refused({ "discovery-port": bad }), `--discovery-port is "${bad}"; allowed is ${ports}`)
    }
    assert.strictEqual(refused({ "discovery-port": "0" }), `--discovery-port is "0"; allowed is ${ports}`)
    assert.strictEqual(
      refused({}, { KITH_ACCEPT: "some" }),
      `KITH_ACCEPT is "some"; allowed is ask, verified, everyone, nobody`
    )
    assert.strictEqual(refused({ name: "" }), `--name is ""; allowed is 1 to 64 bytes of text`)
    assert.strictEqual(
      refused({}, { KITH_SEND_CAP: "fast" }),
      `KITH_SEND_CAP is "fast"; allowed is none, or a speed such as 500KiB or 5MB (a second, at least 8KiB)`
    )
    assert.include(refused({ "receive-cap": "1KiB" }), `--receive-cap is "1KiB"; allowed is none, or a speed`)
    assert.strictEqual(refused({ conflict: "ask" }), `--conflict is "ask"; allowed is rename, skip, overwrite`)
    assert.include(refused({ name: "ü".repeat(33) }), "--name is")
    assert.include(refused({ peer: "a:1,b" }), `--peer is "a:1,b"; allowed is HOST:PORT`)
    assert.include(refused({ host: "example.org" }), "an IP address")
    assert.include(refused({ "log-level": "loud" }), "trace, debug, info, warn, error, none")
    assert.include(refused({ "log-format": "xml" }), "pretty or json")
    assert.include(refused({}, { KITH_NO_DISCOVERY: "maybe" }), "KITH_NO_DISCOVERY")
    assert.include(refused({ "data-dir": "" }), "--data-dir")
    assert.include(refused({ received: "a\0b" }), "--received")
  })

  /** Of every flag: values that are none, and what is said to be allowed. */
  const directory = "the path of a directory"
  const anyPort = "a port from 1 to 65535, or 0 for any free one"
  const cap = "none, or a speed such as 500KiB or 5MB (a second, at least 8KiB)"
  const bad: Record<Flag, readonly [allowed: string, ...given: ReadonlyArray<string>]> = {
    name: ["1 to 64 bytes of text", "ü".repeat(33), "\ud800", "a".repeat(65)],
    "data-dir": [directory, "a\0b"],
    received: [directory, "a\0b"],
    host: ["an IP address of this machine, or :: for all of them", "example.org", "localhost", "192.0.2.1 "],
    port: [anyPort, "abc", "-1", "65536", "1.5", "0x10", " 1", "999999", "1e3"],
    "discovery-port": ["a port from 1 to 65535", "0", "abc", "-1", "65536", "1.5"],
    "no-discovery": ["true or false", "maybe", "2", "y"],
    peer: ["HOST:PORT, such as 192.0.2.7:9090 or [fe80::1]:9090", "b", "a:1,b", "a:1,", "a:99999", "fe80::1:9090"],
    accept: ["ask, verified, everyone, nobody", "some", "Ask", "ask "],
    conflict: ["rename, skip, overwrite", "ask", "Skip", "merge"],
    "send-cap": [cap, "fast", "1KiB", "0", "-1MB", "5 MB", "1TiB"],
    "receive-cap": [cap, "fast", "1KiB", "0", "-1MB", "5 MB", "1TiB"],
    "api-port": [anyPort, "abc", "-1", "65536", "1.5"],
    "log-format": ["pretty or json", "xml", "JSON"],
    "log-level": ["trace, debug, info, warn, error, none", "loud", "Info", "warning"]
  }
  const flags = Object.keys(bad) as ReadonlyArray<Flag>

  for (const flag of flags) {
    it(`refuse a wrong --${flag}, typed or in the environment, by its name`, () => {
      const [allowed, ...values] = bad[flag]
      const inEnv = `KITH_${flag.toUpperCase().replaceAll("-", "_")}`
      for (const given of values) {
        assert.strictEqual(refused({ [flag]: given }), `--${flag} is "${given}"; allowed is ${allowed}`)
        assert.strictEqual(refused({}, { [inEnv]: given }), `${inEnv} is "${given}"; allowed is ${allowed}`)
        // What was typed is what counts, and what is at fault.
        assert.include(refused({ [flag]: given }, { [inEnv]: "1" }), `--${flag} is`)
      }
      // Typed, nothing is a value; in the environment it is none.
      assert.include(refused({ [flag]: "" }), `--${flag} is ""`)
      assert.strictEqual(refused({}, { [inEnv]: "" }), "accepted")
    })
  }

  it("are refused where telemetry is to go nowhere that is", () => {
    const source = "OTEL_EXPORTER_OTLP_ENDPOINT"
    for (const given of ["collector", "ftp://127.0.0.1", "127.0.0.1:4318"]) {
      const said = Result.match(readCollector({ env: { [source]: given } }), {
        onFailure: (error) => error.message,
        onSuccess: () => "accepted"
      })
      assert.include(said, `${source} is "${given}"; allowed is an http or https URL`)
    }
    assert.deepStrictEqual(readCollector({ env: { [source]: "" } }), Result.succeed(null))
  })

  it("make the host name fit to be shown", () => {
    assert.strictEqual(nameOf(""), "kith")
    assert.strictEqual(nameOf("  "), "kith")
    assert.strictEqual(nameOf("a\u001bb"), "a\ufffdb")
    assert.strictEqual(nameOf("\ud800"), "\ufffd")
    const long = nameOf("👋".repeat(40))
    assert.strictEqual(long, "👋".repeat(16))
    assert.strictEqual(byteLength(long), 64)
  })

  it("know where each platform keeps data", () => {
    assert.strictEqual(dir({ env: { XDG_DATA_HOME: "/x" } }), "/x/kith")
    assert.strictEqual(dir({ env: { XDG_DATA_HOME: "relative" } }), "/home/alice/.local/share/kith")
    assert.strictEqual(dir({ platform: "darwin" }), "/home/alice/Library/Application Support/kith")
    assert.strictEqual(dir({ platform: "win32", env: { LOCALAPPDATA: "/c/local" } }), "/c/local/kith")
  })
})
