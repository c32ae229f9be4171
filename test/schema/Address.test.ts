/** Addresses as people type them: what is read, and what is said of each mistake. */
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Address, format, parse, Port, tcp } from "../../src/schema/Address.ts"
import * as Wild from "./Wild.ts"

const problem = (input: string) =>
  Result.match(parse(input), { onSuccess: (address) => `read as ${format(address)}`, onFailure: (e) => e.problem })

describe("Address.parse", () => {
  it("reads hosts and ports", () => {
    const cases: ReadonlyArray<readonly [string, string, number]> = [
      ["192.0.2.7:9090", "192.0.2.7", 9090],
      ["  192.0.2.7:1 ", "192.0.2.7", 1],
      ["[::1]:65535", "::1", 65535],
      ["[fe80::1%eth0]:9090", "fe80::1%eth0", 9090],
      ["[::ffff:192.0.2.7]:80", "::ffff:192.0.2.7", 80],
      ["laptop.local:9090", "laptop.local", 9090],
      ["my_host-2:080", "my_host-2", 80],
      ["bücher.example:9090", "bücher.example", 9090],
      ["[localhost]:9090", "localhost", 9090]
    ]
    for (const [input, host, port] of cases) {
      assert.deepStrictEqual(Result.getOrThrow(parse(input)), tcp(host, port), input)
    }
  })

  it("says what is wrong with each of these", () => {
    const cases: ReadonlyArray<readonly [string, RegExp]> = [
      ["", /port is missing/],
      ["host", /port is missing/],
      [":", /host is missing/],
      [":9090", /host is missing/],
      ["host:", /port is missing/],
      ["host:99999", /from 1 to 65535, not "99999"/],
      ["host:0", /from 1 to 65535/],
      ["host:-1", /from 1 to 65535/],
      ["host:+80", /from 1 to 65535/],
      ["host:80.5", /from 1 to 65535/],
      ["host:1e3", /from 1 to 65535/],
      ["host:0x50", /from 1 to 65535/],
      ["host:٨٠", /from 1 to 65535/],
      ["host:000080", /from 1 to 65535/],
      ["host:9090:", /brackets/],
      ["fe80::1", /brackets/],
      ["fe80::1:9090", /brackets/],
      ["::", /brackets/],
      ["[::1]", /brackets/],
      ["[::1:9090", /brackets/],
      ["[]:9090", /brackets/],
      ["[[::1]]:9090", /brackets/],
      ["ho st:9090", /characters/],
      ["http://host:9090", /brackets|characters/],
      ["host/path:9090", /characters/],
      ["user@host:9090", /characters/],
      ["ho\u0000st:9090", /characters/],
      ["ho\u001b[2Jst:9090", /characters|port/],
      [`${"a".repeat(256)}:9090`, /characters/]
    ]
    for (const [input, expected] of cases) assert.match(problem(input), expected, JSON.stringify(input))
  })

  it("names the whole mistake and the remedy", () => {
    const error = Result.getOrThrow(Result.flip(parse("host:99999")))
    assert.strictEqual(
      error.message,
      `"host:99999" is not an address: the port must be a number from 1 to 65535, not "99999". ` +
        "Write HOST:PORT, such as 192.0.2.7:9090 or [fe80::1]:9090"
    )
  })

  it.prop("never throws, and what it reads is a valid address that reads the same again", [Wild.text], ([text]) => {
    for (const input of [text, `${text}:9090`, `[${text}]:9090`, `host:${text}`]) {
      const read = parse(input)
      if (Result.isFailure(read)) continue
      assert.isTrue(Option.isSome(Schema.decodeOption(Address)(read.success)), input)
      assert.deepStrictEqual(Result.getOrThrow(parse(format(read.success))), read.success)
    }
  })

  it.prop("reads what format writes", [Port], ([port]) => {
    for (const host of ["192.0.2.7", "::1", "fe80::1%eth0", "a.b-c"]) {
      assert.deepStrictEqual(Result.getOrThrow(parse(format(tcp(host, port)))), tcp(host, port))
    }
  })
})

const isPort = (port: unknown) => Option.isSome(Schema.decodeUnknownOption(Port)(port))

describe("Port", () => {
  it("is a whole number from 1 to 65535", () => {
    for (const port of [1, 22, 9090, 65535]) assert.isTrue(isPort(port))
    for (const port of [0, -1, 65536, 1.5, NaN, Infinity, "9090", null, 2 ** 53]) assert.isFalse(isPort(port))
  })
})
