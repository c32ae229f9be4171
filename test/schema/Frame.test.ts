/** Frames: cut from any stream, refused for what they are, and never a reason to fall over. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { limits } from "../../src/config.ts"
import { decode, encode, Frame, frameMaxBytes, helloMaxBytes, unfinishedMax } from "../../src/schema/Frame.ts"
import { Splitter } from "../../src/schema/FrameCodec.ts"
import { Instance } from "../../src/schema/Id.ts"
import { chatMaxBytes } from "../../src/schema/Text.ts"
import { someEpoch, someId, someMessage } from "../Some.ts"
import * as Wild from "./Wild.ts"

const utf8 = new TextEncoder()

/** What becomes of a body: its kind, and the reason if there is one. */
const verdict = (body: string | Uint8Array) =>
  Result.match(decode(typeof body === "string" ? utf8.encode(body) : body), {
    onSuccess: (decoded) => decoded._tag,
    onFailure: (error) => error.problem
  })

const chat = (text: string): Frame => ({
  _tag: "Chat",
  id: someMessage(1),
  epoch: someEpoch(1),
  first: 1,
  seq: 1,
  toEveryone: false,
  sentAt: 0,
  text
})

const profile = (name: string) => `{"_tag":"Profile","name":"${name}"}`

/** The bodies in a stream that arrives in these pieces, or the error at which it ended. */
const split = (pieces: Iterable<Uint8Array>, limit = frameMaxBytes) => {
  const splitter = new Splitter(limit)
  const bodies: Array<Uint8Array> = []
  for (const piece of pieces) {
    splitter.push(piece)
    // What was pushed may be reused at once.
    piece.fill(0xee)
    for (;;) {
      const next = splitter.next()
      if (Result.isFailure(next)) return { bodies, error: next.failure.problem, buffered: splitter.buffered }
      if (next.success === undefined) break
      bodies.push(next.success)
    }
  }
  return { bodies, error: undefined, buffered: splitter.buffered }
}

const length = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

const join = (parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

describe("Frame.encode and decode", () => {
  it.prop("what is encoded is cut and decoded to the same", [Frame], ([frame]) => {
    const bytes = encode(frame)
    const { bodies, error, buffered } = split([bytes.slice()])
    assert.isUndefined(error)
    assert.strictEqual(buffered, 0)
    assert.lengthOf(bodies, 1)
    const decoded = Result.getOrThrow(decode(bodies[0] ?? new Uint8Array()))
    assert.isTrue(decoded._tag === "Known")
    if (decoded._tag === "Known") assert.deepStrictEqual(encode(decoded.frame), bytes)
  })

  it("the longest chat fits a frame whatever its characters cost in JSON", () => {
    for (const character of ["\u0001", '"', "\\", "a", "é", "\u2028", "😀", "\u007f"]) {
      const text = character.repeat(Math.floor(chatMaxBytes / Buffer.byteLength(character)))
      const bytes = encode(chat(text))
      assert.isAtMost(bytes.length - 4, frameMaxBytes)
      const decoded = Result.getOrThrow(decode(bytes.subarray(4)))
      assert.isTrue(decoded._tag === "Known" && decoded.frame._tag === "Chat" && decoded.frame.text === text)
    }
    assert.throws(() => encode(chat("a".repeat(chatMaxBytes + 1))))
  })

  it("the largest Hello fits what is read before a Hello", () => {
    const hello: Frame = {
      _tag: "Hello",
      version: { major: Number.MAX_SAFE_INTEGER, minor: Number.MAX_SAFE_INTEGER },
      features: Array.from({ length: 64 }, () => "f".repeat(64)),
      id: someId(1),
      instance: Instance.make("a".repeat(26)),
      name: "\u0001".repeat(64),
      port: 65535
    }
    assert.isAtMost(encode(hello).length - 4, helloMaxBytes)
  })

  it("every list at its longest fits a frame", () => {
    const unfinished = Array.from({ length: unfinishedMax }, () => ({ transfer: "a".repeat(26), role: "receive" }))
    assert.isAtLeast(unfinishedMax, limits.transfersMax + limits.sendsMax)
    const failed = Array.from({ length: 100 }, () => ({ path: '"'.repeat(1024), reason: "\u0001".repeat(512) }))
    const transfer = "a".repeat(26)
    for (const value of [
      { _tag: "Transfers", unfinished },
      { _tag: "TransferDone", transfer, outcome: "failed", failed, error: "\u0001".repeat(512) }
    ]) {
      const bytes = encode(Schema.decodeUnknownSync(Frame)(value))
      assert.isAtMost(bytes.length - 4, frameMaxBytes)
    }
  })
})

describe("Frame.decode", () => {
  it("bad UTF-8 and bad JSON end the link", () => {
    assert.strictEqual(verdict(Uint8Array.of(0xff)), "utf8")
    assert.strictEqual(verdict(Uint8Array.of(0xc0, 0x80)), "utf8")
    assert.strictEqual(verdict(Uint8Array.of(0xed, 0xa0, 0x80)), "utf8", "a surrogate in UTF-8 clothes")
    assert.strictEqual(verdict(""), "json")
    assert.strictEqual(verdict("{"), "json")
    assert.strictEqual(verdict('{"_tag":"Ping","nonce":1}x'), "json")
    assert.strictEqual(verdict('\ufeff{"_tag":"Ping","nonce":1}'), "json", "a byte order mark")
    assert.strictEqual(verdict('{"_tag":"Ping","nonce":NaN}'), "json")
    assert.strictEqual(verdict('{"_tag":"Ping","nonce":01}'), "json")
    assert.strictEqual(verdict("{'_tag':'Ping'}"), "json")
    assert.strictEqual(verdict("GET / HTTP/1.1\r\n"), "json")
  })

  it("JSON that is no frame is refused, and the link lives", () => {
    for (const body of [
      "null",
      "1",
      '"Ping"',
      "[]",
      "{}",
      "true",
      '{"_tag":1}',
      '{"_tag":null}',
      '{"_tag":["Ping"]}'
    ]) {
      assert.strictEqual(verdict(body), "Invalid", body)
    }
  })

  it("unknown kinds are told apart from broken ones", () => {
    for (const tag of ["Swarm", "", "ping", "PING", "__proto__", "constructor", "toString", "hasOwnProperty"]) {
      assert.strictEqual(verdict(JSON.stringify({ _tag: tag, nonce: 1 })), "Unknown", tag)
    }
    const long = Result.getOrThrow(decode(utf8.encode(JSON.stringify({ _tag: "é😀".repeat(10_000) }))))
    assert.isTrue(long._tag === "Unknown" && long.tag.length <= 16 && long.tag.isWellFormed())
  })

  it("unknown fields are skipped", () => {
    const decoded = Result.getOrThrow(decode(utf8.encode('{"_tag":"Ping","later":{"a":[1]},"nonce":7}')))
    assert.deepStrictEqual(decoded, { _tag: "Known", frame: { _tag: "Ping", nonce: 7 } })
  })

  it("numbers that JSON can write and a counter cannot hold are refused", () => {
    const nonces = ["-1", "1.5", "1e400", "9007199254740992", "9007199254740993", "1e308", '"1"', "null", "true", "[1]"]
    for (const nonce of nonces) assert.strictEqual(verdict(`{"_tag":"Ping","nonce":${nonce}}`), "Invalid", nonce)
    for (const nonce of ["0", "-0", "1.0", "1e2", "9007199254740991"]) {
      assert.strictEqual(verdict(`{"_tag":"Ping","nonce":${nonce}}`), "Known", nonce)
    }
  })

  it("a key twice counts as JSON has it: the last one", () => {
    const decoded = Result.getOrThrow(decode(utf8.encode('{"_tag":"Chat","_tag":"Ping","nonce":1,"nonce":2}')))
    assert.deepStrictEqual(decoded, { _tag: "Known", frame: { _tag: "Ping", nonce: 2 } })
  })

  it("__proto__ is a name like any other", () => {
    assert.strictEqual(verdict('{"__proto__":{"_tag":"Ping","nonce":1}}'), "Invalid")
    assert.strictEqual(verdict('{"_tag":"Ping","__proto__":{"nonce":1}}'), "Invalid")
    assert.strictEqual(verdict('{"_tag":"Ping","nonce":1,"__proto__":{"polluted":true},"constructor":{}}'), "Known")
    assert.isUndefined(Reflect.get({}, "polluted"))
  })

  it("nesting 100,000 deep is refused like any other nonsense", () => {
    const deep = "[".repeat(100_000) + "]".repeat(100_000)
    const objects = '{"a":'.repeat(50_000) + "1" + "}".repeat(50_000)
    for (const inner of [deep, objects]) {
      assert.strictEqual(verdict(inner), "Invalid")
      assert.strictEqual(verdict(`{"_tag":${inner}}`), "Invalid")
      assert.strictEqual(verdict(`{"_tag":"Ping","nonce":${inner}}`), "Invalid")
      assert.strictEqual(verdict(`{"_tag":"Profile","name":${inner}}`), "Invalid")
      assert.strictEqual(verdict(`{"_tag":"Transfers","unfinished":${inner}}`), "Invalid")
      assert.strictEqual(verdict(`{"_tag":"Ping","nonce":1,"later":${inner}}`), "Known")
    }
  })

  it("lone surrogates, written as JSON escapes, are refused", () => {
    for (const name of ["\\ud800", "a\\udc00", "\\udc00\\ud800"]) assert.strictEqual(verdict(profile(name)), "Invalid")
    assert.strictEqual(verdict(profile("\\ud83d\\ude00")), "Known")
  })

  it("says why, in a reason that fits a Refused", () => {
    for (const body of [
      '{"_tag":"Ping"}',
      `{"_tag":"Ping","nonce":"${"é".repeat(10_000)}"}`,
      `{"_tag":"Profile","name":"${"😀".repeat(20_000)}"}`,
      `{"_tag":"Transfers","unfinished":[${'{"transfer":1},'.repeat(1000)}1]}`
    ]) {
      const decoded = Result.getOrThrow(decode(utf8.encode(body)))
      assert.isTrue(decoded._tag === "Invalid")
      if (decoded._tag !== "Invalid") continue
      assert.isAbove(decoded.reason.length, 10)
      encode({ _tag: "Refused", frame: decoded.tag, reason: decoded.reason })
    }
  })

  it("lists over their bound are refused", () => {
    const one = { transfer: "a".repeat(26), role: "send" }
    const frame = (count: number) =>
      JSON.stringify({ _tag: "Transfers", unfinished: Array.from({ length: count }, () => one) })
    assert.strictEqual(verdict(frame(unfinishedMax)), "Known")
    assert.strictEqual(verdict(frame(unfinishedMax + 1)), "Invalid")
  })

  it.prop("any bytes: a verdict, never an exception", [Wild.bytes], ([bytes]) => {
    verdict(bytes)
  })

  it.prop(
    "a valid frame with a few changed bytes: a verdict, never an exception",
    [Frame, Wild.damaged],
    ([frame, damage]) => {
      const decoded = decode(damage(encode(frame).subarray(4)))
      // Whatever is accepted must be a frame that can be sent.
      if (Result.isSuccess(decoded) && decoded.success._tag === "Known") encode(decoded.success.frame)
    }
  )

  it.prop("any text in any place: a verdict, never an exception", [Wild.text, Frame], ([text, frame]) => {
    for (const key of Object.keys(frame)) {
      verdict(JSON.stringify({ ...frame, [key]: text }))
      verdict(JSON.stringify({ ...frame, [text]: 1 }))
    }
  })
})

describe("Splitter", () => {
  const frames: ReadonlyArray<Frame> = [
    { _tag: "Ping", nonce: 1 },
    chat("a\u0000é😀".repeat(5)),
    { _tag: "Goodbye", reason: "shutdown" }
  ]
  const stream = join(frames.map(encode))
  const expected = frames.map((frame) => encode(frame).slice(4))

  it("finds the same frames wherever the stream is cut in two", () => {
    for (let at = 0; at <= stream.length; at++) {
      const { bodies, buffered } = split([stream.slice(0, at), stream.slice(at)])
      assert.deepStrictEqual(bodies, expected, `cut at ${at}`)
      assert.strictEqual(buffered, 0)
    }
  })

  it("finds them byte by byte, and all at once", () => {
    assert.deepStrictEqual(split(Array.from(stream, (byte) => Uint8Array.of(byte))).bodies, expected)
    assert.deepStrictEqual(split([stream.slice()]).bodies, expected)
    assert.deepStrictEqual(split([new Uint8Array(0), stream.slice(), new Uint8Array(0)]).bodies, expected)
  })

  const cuts = Arbitrary.array(Arbitrary.schema(Schema.Literals([1, 2, 3, 4, 5, 7, 50, 300])))

  it.prop("finds them in any pieces", [cuts, Schema.Array(Frame)], ([sizes, many]) => {
    const whole = join(many.map(encode))
    const pieces: Array<Uint8Array> = []
    let at = 0
    for (let i = 0; at < whole.length; i++) {
      const size = sizes.length === 0 ? whole.length : (sizes[i % sizes.length] ?? 1)
      pieces.push(whole.slice(at, at + size))
      at += size
    }
    assert.deepStrictEqual(
      split(pieces).bodies,
      many.map((frame) => encode(frame).slice(4))
    )
  })

  it("refuses a length of 0, of -1, of 2^31 and one over the limit, and takes the limit", () => {
    for (const wrong of [0, 0xffff_ffff, 2 ** 31, 1001]) {
      assert.strictEqual(split([length(wrong)], 1000).error, "length", `${wrong}`)
      assert.strictEqual(split([length(wrong).slice(0, 3), length(wrong).slice(3)], 1000).error, "length", `${wrong}`)
    }
    assert.isUndefined(split([length(1000)], 1000).error)
    assert.lengthOf(split([length(1000), new Uint8Array(1000)], 1000).bodies, 1)
    assert.lengthOf(split([length(1), Uint8Array.of(1)], 1000).bodies, 1)
  })

  it("refuses after good frames, and keeps refusing", () => {
    const { bodies, error } = split([join([stream, length(0), stream])])
    assert.deepStrictEqual(bodies, expected)
    assert.strictEqual(error, "length")
  })

  it("sets nothing aside for what was only promised", () => {
    const before = process.memoryUsage().arrayBuffers
    const splitters = Array.from({ length: 1000 }, () => {
      const splitter = new Splitter(frameMaxBytes)
      splitter.push(length(frameMaxBytes))
      splitter.next()
      return splitter
    })
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 10 * 1024 * 1024)
    assert.isTrue(splitters.every((splitter) => splitter.buffered === 4))
  })

  it("a frame sent byte by byte costs about its own size", () => {
    const splitter = new Splitter(frameMaxBytes)
    splitter.push(length(frameMaxBytes))
    const before = process.memoryUsage().arrayBuffers
    const one = Uint8Array.of(0x20)
    for (let i = 0; i < frameMaxBytes - 1; i++) {
      splitter.push(one)
      if (Result.getOrThrow(splitter.next()) !== undefined) assert.fail("a body before its end")
    }
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 8 * frameMaxBytes)
    splitter.push(one)
    assert.strictEqual(Result.getOrThrow(splitter.next())?.length, frameMaxBytes)
  })

  it("the limit can be raised between frames", () => {
    const splitter = new Splitter(10)
    splitter.push(length(11))
    assert.isTrue(Result.isFailure(splitter.next()))
    splitter.setLimit(11)
    assert.isTrue(Result.isSuccess(splitter.next()))
  })

  it("bodies stay as they were when more is pushed", () => {
    const splitter = new Splitter(frameMaxBytes)
    splitter.push(stream)
    const first = Result.getOrThrow(splitter.next())
    splitter.push(new Uint8Array(100_000).fill(0xff))
    assert.deepStrictEqual(first, expected[0])
  })
})
