/** Tickets: what is made is read back, and whatever is wrong with a text is said as what it is. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { inspect } from "node:util"
import { type Address, tcp } from "../../src/schema/Address.ts"
import { base32, fromBase32, PeerId } from "../../src/schema/PeerId.ts"
import * as Ticket from "../../src/schema/Ticket.ts"
import { someBytes32, someId } from "../Some.ts"
import * as Wild from "./Wild.ts"

const secret = "abcdefghijklmnopqrstuvwxya"
const ticket: Ticket.Ticket = {
  id: someId(1),
  addresses: [tcp("192.0.2.7", 9090), tcp("2001:db8::1", 9090), tcp("laptop.local", 443)],
  secret: Redacted.make(secret),
  expires: 1_795_000_000_000
}
const text = Ticket.format(ticket)

const plain = (one: Ticket.Ticket) => ({ ...one, secret: Redacted.value(one.secret) })

/** The tag of what is wrong, or "read". */
const verdict = (input: string) =>
  Result.match(Ticket.parse(input), { onSuccess: () => "read", onFailure: (error) => error._tag })

const message = (input: string) => Result.getOrThrow(Result.flip(Ticket.parse(input))).message

const hosts = Schema.Literals(["192.0.2.7", "10.0.0.1", "2001:db8::1", "fd00::7", "laptop.local", "a"])
const addresses = Arbitrary.schema(
  Schema.Array(Schema.Struct({ host: hosts, port: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65535 })) }))
)
const seconds = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 40 - 1 })))
const secrets = Arbitrary.map(
  Arbitrary.schema(
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))).check(
      Schema.isMinLength(16),
      Schema.isMaxLength(16)
    )
  ),
  (bytes) => base32(Uint8Array.from(bytes))
)

describe("a ticket", () => {
  it.prop("is read back as it was made", [PeerId, addresses, secrets, seconds], ([id, list, secret, seconds]) => {
    const made: Ticket.Ticket = {
      id,
      addresses: list.slice(0, Ticket.addressesMax).map(({ host, port }): Address => tcp(host, port)),
      secret: Redacted.make(secret),
      expires: seconds * 1000
    }
    assert.deepStrictEqual(plain(Result.getOrThrow(Ticket.parse(Ticket.format(made)))), plain(made))
  })

  it("is read in any letter case, and however it was wrapped", () => {
    const wrapped = ` ${text.replace(/(.{40})/g, "$1\r\n\t ")}\n`
    for (const variant of [text, text.toUpperCase(), wrapped, `\ufeff${text}`.slice(1)]) {
      assert.deepStrictEqual(plain(Result.getOrThrow(Ticket.parse(variant))), plain(ticket))
    }
    assert.match(text, /^kith1:[a-z2-7]+$/)
  })

  it("may hold addresses of kinds that are not known yet", () => {
    const bytes = fromBase32(text.slice(6))
    // The kind of the first address: after the header, id, secret, expiry and count.
    const at = 3 + 32 + 16 + 5 + 1
    assert.strictEqual(bytes[at], 0)
    bytes[at] = 9
    const sum = createHash("sha256").update("kith1:").update(bytes.slice(0, -4)).digest().subarray(0, 4)
    bytes.set(sum, bytes.length - 4)
    const read = Result.getOrThrow(Ticket.parse(`kith1:${base32(bytes)}`))
    assert.deepStrictEqual(read.addresses, ticket.addresses.slice(1))
  })

  it("holds at most eight addresses", () => {
    const many = Array.from({ length: 20 }, (_, n) => tcp(`192.0.2.${n}`, 9090))
    const read = Result.getOrThrow(Ticket.parse(Ticket.format({ ...ticket, addresses: many })))
    assert.deepStrictEqual(read.addresses, many.slice(0, 8))
    assert.isBelow(Ticket.format({ ...ticket, addresses: many }).length, 250)
  })

  it("shows its secret to nobody who prints it", () => {
    const read = Result.getOrThrow(Ticket.parse(text))
    for (const shown of [inspect(read, { depth: 9 }), JSON.stringify(read), String(read.secret)]) {
      assert.notInclude(shown, secret)
      assert.notInclude(shown, text.slice(60, 80))
    }
  })
})

describe("a text that is no ticket", () => {
  it("is foreign, of another version, truncated, or mistyped, and each says so", () => {
    assert.strictEqual(verdict(""), "TicketForeign")
    assert.strictEqual(verdict("hello"), "TicketForeign")
    assert.strictEqual(verdict("kith:abc"), "TicketForeign")
    assert.strictEqual(verdict("https://example.org/kith1:"), "TicketForeign")
    assert.strictEqual(verdict("2-crossover-clockwork"), "TicketForeign")
    assert.strictEqual(verdict(text.slice(6)), "TicketForeign")
    assert.strictEqual(verdict(`kith2:${text.slice(6)}`), "TicketVersion")
    assert.strictEqual(verdict(`kith10:${text.slice(6)}`), "TicketVersion")
    assert.strictEqual(verdict(`${text}a`), "TicketMistyped")
    assert.match(message("hello"), /not a Kith ticket/)
    assert.match(message(`kith2:${text.slice(6)}`), /version 2/)
    assert.match(message(text.slice(0, -3)), /the end .* missing \(3 characters\)/)
    assert.match(message(`${text.slice(0, 30)}1${text.slice(31)}`), /there is a "1" at place 31/)
  })

  it("is truncated wherever it was cut", () => {
    for (let length = 6; length < text.length; length++) {
      assert.strictEqual(verdict(text.slice(0, length)), "TicketTruncated", `cut to ${length}`)
    }
  })

  it("is never read with one wrong character, whichever and wherever", () => {
    const alphabet = "abcdefghijklmnopqrstuvwxyz23456701 89-_"
    for (let at = 6; at < text.length; at++) {
      for (const character of alphabet) {
        if (character === text[at]) continue
        const changed = text.slice(0, at) + character + text.slice(at + 1)
        assert.notStrictEqual(verdict(changed), "read", `${character} at ${at}`)
        // A changed character beyond the first few is never taken for anything but what it is.
        if (at >= 11 && character !== " ") assert.strictEqual(verdict(changed), "TicketMistyped")
      }
    }
  })

  it("is never read with two neighbours swapped, one doubled, or one left out", () => {
    for (let at = 6; at < text.length - 1; at++) {
      const [one = "", two = ""] = text.slice(at, at + 2)
      const swapped = text.slice(0, at) + two + one + text.slice(at + 2)
      if (one !== two) assert.notStrictEqual(verdict(swapped), "read", `swapped at ${at}`)
      assert.notStrictEqual(verdict(text.slice(0, at) + one + text.slice(at)), "read", `doubled at ${at}`)
      assert.notStrictEqual(verdict(text.slice(0, at) + text.slice(at + 1)), "read", `left out at ${at}`)
    }
  })

  it.prop("is refused, never a reason to fall over", [Wild.text, Wild.damaged], ([wild, damage]) => {
    const bytes = new TextEncoder().encode(text)
    const broken = new TextDecoder().decode(damage(bytes))
    if (broken !== text) verdict(broken)
    assert.notStrictEqual(verdict(wild), "read")
    assert.notStrictEqual(verdict(`kith1:${wild}`), "read")
    assert.notInclude(Result.match(Ticket.parse(broken), { onSuccess: () => "", onFailure: String }), secret)
  })

  it("is looked at only so far", () => {
    assert.strictEqual(verdict(`kith1:${"a".repeat(10_000_000)}`), "TicketMistyped")
  })
})

describe("proofs", () => {
  const key = Ticket.keyOf(Redacted.make(secret))
  const meeting = { inviter: someId(1), joiner: someId(2), binding: someBytes32(3) }
  const proof = Ticket.prove(key, "joiner", meeting)

  it("depend on the secret, the side, both ids and the session", () => {
    const others = [
      Ticket.prove(Ticket.keyOf(Redacted.make("abcdefghijklmnopqrstuvwxyq")), "joiner", meeting),
      Ticket.prove(key, "inviter", meeting),
      Ticket.prove(key, "joiner", { ...meeting, inviter: someId(3) }),
      Ticket.prove(key, "joiner", { ...meeting, joiner: someId(3) }),
      Ticket.prove(key, "joiner", { ...meeting, binding: someBytes32(4) }),
      Ticket.prove(key, "joiner", { ...meeting, inviter: someId(2), joiner: someId(1) })
    ]
    assert.strictEqual(new Set([proof, ...others]).size, 7)
    for (const other of others) assert.isFalse(Ticket.equal(proof, other))
    assert.isTrue(Ticket.equal(proof, Ticket.prove(Ticket.keyOf(Redacted.make(secret)), "joiner", { ...meeting })))
  })

  it("and the name of the ticket give nothing of the secret away", () => {
    assert.notInclude(text, key.ticket)
    assert.notInclude(inspect(key, { depth: 9 }), "Uint8Array")
  })
})
