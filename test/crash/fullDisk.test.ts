/**
 * A node whose disk is full: when it starts, and while it runs. The disk is a small one in memory, mounted for the
 * test, so that needs root.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ended } from "../cli/Nodes.ts"
import { run, start } from "../cli/Run.ts"
import { fill } from "./Disks.ts"

const mount = (path: string) =>
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", path], { stdio: "pipe" })
const unmount = (path: string) => execFileSync("umount", ["-l", path], { stdio: "pipe" })

/** Why there can be no such disk here, or null. */
const unavailable = (() => {
  const probe = mkdtempSync(join(tmpdir(), "kith-disk-"))
  try {
    mount(probe)
    unmount(probe)
    return null
  } catch {
    return "needs root, to mount a small disk"
  } finally {
    rmSync(probe, { recursive: true })
  }
})()

/** A disk of 6 MiB. */
const smallDisk = Effect.acquireRelease(
  Effect.sync(() => {
    const path = mkdtempSync(join(tmpdir(), "kith-disk-"))
    mount(path)
    return path
  }),
  (path) =>
    Effect.sync(() => {
      unmount(path)
      rmSync(path, { recursive: true })
    })
)

/** Fills a disk; gives back what makes room again. */
const fillUp = (disk: string) => {
  const path = join(disk, "fill")
  fill(path)
  return () => rmSync(path)
}

const quiet = ["--no-discovery", "--host", "127.0.0.1", "--port", "0", "--api-port", "0"]

const up = Effect.fnUntraced(function* (dataDir: string, name = "alice") {
  const node = yield* start([
    "up",
    "--data-dir",
    dataDir,
    "--received",
    join(dataDir, "received"),
    "--name",
    name,
    ...quiet
  ])
  yield* node.until((printed) => printed.includes("API "))
  return node
})

const ask = (dataDir: string, method: string, path: string, body?: unknown) =>
  Effect.promise(async () => {
    const { token, url } = JSON.parse(readFileSync(join(dataDir, "control.json"), "utf8"))
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) })
    })
    return { status: answer.status, type: answer.headers.get("content-type"), body: JSON.parse(await answer.text()) }
  })

if (unavailable !== null) process.stdout.write(`full disks are not tested: ${unavailable}\n`)

describe.skipIf(unavailable !== null)("a full disk", () => {
  it.live("when a node starts is one line that says so, and leaves the disk as it was", () =>
    Effect.gen(function* () {
      const disk = yield* smallDisk
      const makeRoom = fillUp(disk)
      const refused = () => run(["up", "--data-dir", join(disk, "node"), ...quiet])
      const { code, err, out } = yield* refused()
      assert.deepStrictEqual([code, out], [1, ""])
      assert.match(
        err,
        /^kith: the disk of the data directory .*node is full\. Make room on it, or choose another.*\n$/
      )
      assert.deepStrictEqual(readdirSync(join(disk, "node")), [])
      makeRoom()
      const node = yield* up(join(disk, "node"))
      node.child.kill("SIGTERM")
      assert.strictEqual((yield* ended(node)).code, 0)
      // Now there is something to lose.
      fillUp(disk)
      const before = readdirSync(join(disk, "node")).map((name) => [
        name,
        readFileSync(join(disk, "node", name), "hex")
      ])
      assert.strictEqual((yield* refused()).code, 1)
      const after = readdirSync(join(disk, "node")).map((name) => [name, readFileSync(join(disk, "node", name), "hex")])
      assert.deepStrictEqual(after, before)
    })
  )

  it.live("while a node runs refuses what cannot be kept, and loses nothing of what was", () =>
    Effect.gen(function* () {
      const disk = yield* smallDisk
      const dataDir = join(disk, "node")
      const other = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-disk-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const bob = yield* up(other, "bob")
      const alice = yield* up(dataDir)
      const port = /listens on +\S+:(\d+)/.exec(bob.out)?.[1] ?? ""
      assert.strictEqual((yield* ask(dataDir, "POST", "/api/peers", { address: `127.0.0.1:${port}` })).status, 200)
      bob.child.kill("SIGKILL")
      yield* ended(bob)
      const say = (text: string) => ask(dataDir, "POST", "/api/messages", { text, to: "bob" })
      const texts = Effect.map(ask(dataDir, "GET", "/api/messages"), ({ body }) =>
        body.map((message: { readonly text: string }) => message.text)
      )
      assert.strictEqual((yield* say("before")).status, 200)
      const makeRoom = fillUp(disk)
      // What still fits into pages that the database has is taken: the disk is full for it a little later.
      const kept = ["before"]
      let refused = yield* say("x".repeat(60_000))
      for (let n = 0; refused.status === 200 && n < 300; n++) {
        kept.push("x".repeat(60_000))
        refused = yield* say("x".repeat(60_000))
      }
      assert.strictEqual(refused.status, 422)
      assert.match(refused.type ?? "", /^application\/problem\+json/)
      assert.match(refused.body.detail, /the disk is full\. Make room on it/)
      // Whatever only reads goes on.
      assert.deepStrictEqual(yield* texts, kept)
      assert.strictEqual((yield* ask(dataDir, "GET", "/api/peers")).status, 200)
      const upload = yield* ask(dataDir, "POST", "/api/uploads", { bytes: 10 })
      assert.strictEqual(upload.status, 422)
      assert.match(upload.body.detail, /room|full/)
      makeRoom()
      assert.strictEqual((yield* say("after")).status, 200)
      alice.child.kill("SIGKILL")
      yield* ended(alice)
      const again = yield* up(dataDir)
      assert.deepStrictEqual(yield* texts, [...kept, "after"])
      again.child.kill("SIGTERM")
      assert.strictEqual((yield* ended(again)).code, 0)
    })
  )
})
