/**
 * The file store alone, with somebody else at work in the same directories: whatever is swapped for a link, and
 * whenever, nothing is written, read, renamed or removed outside. Case 67, some hundreds of times.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import { join } from "node:path"
import { NodeConfig } from "../../src/config.ts"
import { RelativePath } from "../../src/schema/RelativePath.ts"
import { FileStore } from "../../src/services/FileStore.ts"
import * as FileStoreNode from "../../src/services/files/FileStoreNode.ts"
import { randomId } from "./Forge.ts"
import { temporaryDirectory } from "./Target.ts"

const bytes = Buffer.from("from a peer")
const paths = ["d/e/one", "d/e/two", "d/three"].map((path) => RelativePath.make(path))
const part = (path: RelativePath) => ({ path, mtime: 0, executable: true, offset: 0, bytes, finish: true })

/** Puts a link in the place of a directory, and sometimes the directory back. */
const swapper = (places: ReadonlyArray<string>, outside: string) => {
  let isRunning = true
  let swaps = 0
  const swap = () => {
    for (const place of places) {
      try {
        if (fs.lstatSync(place).isSymbolicLink()) {
          fs.unlinkSync(place)
          fs.renameSync(`${place}.moved`, place)
        } else {
          fs.renameSync(place, `${place}.moved`)
          fs.symlinkSync(outside, place)
          swaps++
        }
      } catch {
        // It is not there at the moment.
      }
    }
    if (isRunning) setImmediate(swap)
  }
  swap()
  return { stop: () => (isRunning = false), swaps: () => swaps }
}

describe.skipIf(process.platform !== "linux")("a receive folder in which another user's program swaps links", () => {
  const store = Effect.fnUntraced(function* (received: string) {
    const config = NodeConfig.layer({ name: "x", dataDir: received, received })
    const context = yield* Layer.build(Layer.provide(Layer.fresh(FileStoreNode.layer), config))
    return Context.get(context, FileStore)
  })

  it.live("67 receives nothing outside, in three hundred tries", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const [received, outside] = [join(home, "received"), join(home, "outside")]
      fs.mkdirSync(received)
      fs.mkdirSync(join(outside, "e"), { recursive: true })
      fs.writeFileSync(join(outside, "e", "precious"), "mine")
      const files = yield* store(received)
      let whole = 0
      let swapped = 0
      for (let round = 0; round < 300; round++) {
        const id = randomId()
        const data = join(received, ".kith", id, "data")
        const swaps = swapper([join(data, "d", "e"), join(data, "d"), data].slice(round % 3, (round % 3) + 1), outside)
        const exit = yield* Effect.scoped(
          Effect.gen(function* () {
            const staging = yield* files.stage(id)
            yield* staging.write(paths.map(part))
            yield* staging.sync
            yield* staging.publish(["d"], "rename")
            yield* Effect.ignore(staging.discard)
          })
        ).pipe(Effect.exit)
        swaps.stop()
        swapped += swaps.swaps()
        if (exit._tag === "Success") whole++
        assert.deepStrictEqual(fs.readdirSync(outside), ["e"], `round ${round}`)
        assert.deepStrictEqual(fs.readdirSync(join(outside, "e")), ["precious"], `round ${round}`)
        assert.strictEqual(fs.readFileSync(join(outside, "e", "precious"), "utf8"), "mine")
        for (const name of fs.readdirSync(received)) fs.rmSync(join(received, name), { recursive: true, force: true })
      }
      // Tries that were not disturbed in time show that the others were real, and swaps that there were others.
      assert.isAbove(whole, 0)
      assert.isAbove(swapped, 50)
    })
  )

  it.live("sends nothing from outside what was picked, in three hundred tries", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const [picked, outside] = [join(home, "picked"), join(home, "outside")]
      fs.mkdirSync(join(picked, "d", "e"), { recursive: true })
      fs.mkdirSync(join(outside, "e"), { recursive: true })
      const times = new Date(1_700_000_000_000)
      for (const [file, text] of [
        [join(picked, "d", "e", "one"), "mine to give"],
        [join(outside, "e", "one"), "a secret!!!!"]
      ] as const) {
        fs.writeFileSync(file, text)
        fs.utimesSync(file, times, times)
      }
      const files = yield* store(home)
      const chosen = yield* files.pick(picked)
      const swaps = swapper([join(picked, "d")], outside)
      const wanted = {
        path: RelativePath.make("picked/d/e/one"),
        size: 12,
        mtime: times.getTime(),
        offset: 0,
        length: 12,
        at: 0
      }
      let given = 0
      for (let round = 0; round < 300; round++) {
        const into = Buffer.alloc(12)
        const [read] = yield* Effect.scoped(
          Effect.flatMap(files.open(new Map([["picked", chosen]])), (source) => source.read([wanted], into))
        )
        assert.notInclude(into.toString(), "secret", `round ${round}`)
        if (read instanceof Uint8Array) given++
      }
      swaps.stop()
      assert.isAbove(given, 0)
      assert.isBelow(given, 300)
      assert.isAbove(swaps.swaps(), 10)
    })
  )
})
