/**
 * A node that is out of file descriptors: the listener lives on. libuv closes what it cannot take and tells nobody, so
 * there is no line to write; what is left to test is that nobody else notices either, and that it passes.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { quiet } from "../cli/Nodes.ts"
import { main, run, Running } from "../cli/Run.ts"
import { connect, connectRaw, hello, Mallory } from "./Attacker.ts"
import { persona } from "./Forge.ts"
import { attack, temporaryDirectory } from "./Target.ts"

/** A node takes about 40 to start and to be asked something. */
const descriptors = 96

describe.skipIf(process.platform === "win32")("a node without a free descriptor", () => {
  it.live("closes what it cannot take, keeps the session it has, and takes others when there is room again", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const up = ["up", "--data-dir", dir, "--received", join(dir, "received"), ...quiet]
      const node = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const command = [process.execPath, "--disable-warning=ExperimentalWarning", main, ...up]
          return new Running(spawn("sh", ["-c", `ulimit -n ${descriptors}; exec "$@"`, "sh", ...command]))
        }),
        ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
      )
      yield* node.until((printed) => printed.includes("API ") || printed.includes("The node is up."))
      const port = Number(/listens on +\S+:(\d+)/.exec(node.out)?.[1])
      const friend = yield* attack(() => Mallory.meet(port))
      yield* attack(async () => {
        const idle = await Promise.all(Array.from({ length: 4 * descriptors }, () => connectRaw(port)))
        let closed = 0
        const shed = new Promise<void>((resolve) => {
          for (const raw of idle) {
            raw.socket.resume()
            void raw.closed.then(() => ++closed === 2 * descriptors && resolve())
          }
        })
        await shed
        await friend.control.settled()
        for (const raw of idle) raw.end()
        await Promise.all(idle.map((raw) => raw.closed))
      })
      const meet = async (tries: number): Promise<void> => {
        const who = persona()
        try {
          const link = await connect(port, { who })
          await link.say(hello(who))
          await link.next("Hello")
          link.end()
        } catch (error) {
          // Until it has seen that the others are gone it has no room for this one.
          if (tries === 0) throw error
          await meet(tries - 1)
        }
      }
      yield* attack(() => meet(1000))
      yield* attack(() => friend.control.settled())
      assert.strictEqual((yield* run(["--data-dir", dir, "id"])).code, 0)
      assert.isNull(node.child.exitCode)
      assert.notMatch(node.out + node.err, /\n +at |uncaught|unhandled/i)
      friend.end()
    })
  )
})
