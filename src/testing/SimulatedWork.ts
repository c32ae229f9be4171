/**
 * Pieces of work on a simulated disk, and the files on it that only grow. Each takes as long as the disk is slow, and
 * fails once the disk has crashed since. Nothing is held open.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { AppendFile, FileStoreError } from "../services/FileStore.ts"
import { storeError } from "../services/files/FileStoreSystem.ts"
import { DiskRefusal, type SimulatedDisk } from "./SimulatedDisk.ts"

/** Work on one disk, until it crashes. */
export const access = (disk: SimulatedDisk) => {
  const generation = disk.generation
  const check = () => {
    if (disk.generation !== generation) throw new DiskRefusal("EIO")
  }
  /** One piece of work, which takes as long as the disk is slow, and happens at its end. */
  const work = <A>(at: string, action: string, run: () => A): Effect.Effect<A, FileStoreError> =>
    Effect.suspend(() => (disk.latency === 0 ? Effect.void : Effect.sleep(disk.latency))).pipe(
      Effect.andThen(
        Effect.try({
          try: () => {
            disk.onWork?.(action)
            check()
            return run()
          },
          catch: (cause) => storeError(at, action, cause)
        })
      )
    )
  return work
}

export type Work = ReturnType<typeof access>

/** A file that only grows; like others it forgets at a crash what was not synced. */
export const appendFile = (disk: SimulatedDisk, work: Work, at: string): AppendFile => {
  const there = () => {
    const file = disk.find(at)
    return file?.kind === "f" ? file : undefined
  }
  return {
    read: (offset, length) =>
      work(at, "read", () => {
        const file = there()
        return file === undefined
          ? new Uint8Array(0)
          : file.bytes.slice(offset, Math.max(offset, Math.min(file.size, offset + length)))
      }),
    append: (bytes) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        work(at, "written", () => {
          const file = there() ?? disk.create(at, false)
          disk.writeAt(file, bytes, file.size)
          file.mtime = now
        })
      ),
    sync: work(at, "synced", () => {
      const file = there() ?? disk.create(at, false)
      file.unsynced = []
    }),
    cut: (length) =>
      work(at, "written", () => {
        const file = there()
        if (file !== undefined) disk.cut(file, length)
      })
  }
}
