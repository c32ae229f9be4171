/**
 * A file that only grows, over node:fs: journals and lists. It owns one descriptor, opened when first needed; `close`
 * gives it back. Work on it is done in turn. What failed to be written or synced is not known to be there or not, so
 * after a failure it refuses everything until it is opened anew.
 */
import * as path from "node:path"
import type { AppendFile } from "../FileStore.ts"
import { codeOf, flags, refusal } from "./FileStoreCalls.ts"
import type { Directory } from "./FileStoreDirectory.ts"
import * as System from "./FileStoreSystem.ts"

export class AppendFileNode {
  private readonly directory: Directory
  private readonly name: string
  private readonly shown: string
  private fd: number | undefined
  private length = 0
  private turn: Promise<unknown> = Promise.resolve()
  private failed: { readonly cause: unknown } | undefined

  /** `shown`: the path of the directory, as a person knows it. */
  constructor(directory: Directory, name: string, shown: string) {
    this.directory = directory
    this.name = name
    this.shown = path.join(shown, name)
  }

  get file(): AppendFile {
    return {
      read: (offset, length) => System.attempt(this.shown, "read", () => this.inTurn(() => this.read(offset, length))),
      append: (bytes) =>
        System.attempt(this.shown, "written", () => this.inTurn(() => this.changing(this.append(bytes)))),
      sync: System.attempt(this.shown, "synced", () => this.inTurn(() => this.changing(this.sync()))),
      cut: (length) => System.attempt(this.shown, "written", () => this.inTurn(() => this.changing(this.cut(length))))
    }
  }

  async close(): Promise<void> {
    await this.turn
    const { fd } = this
    this.fd = undefined
    this.failed ??= { cause: refusal("EBADF", "closed") }
    if (fd !== undefined) await System.close(fd)
  }

  private inTurn<A>(work: () => Promise<A>): Promise<A> {
    const mine = this.turn.then(() => {
      if (this.failed !== undefined) throw this.failed.cause
      return work()
    })
    // Whoever comes next is told by `failed`, not by this.
    this.turn = mine.catch(() => undefined)
    return mine
  }

  private async changing(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (cause) {
      this.failed = { cause }
      throw cause
    }
  }

  private async read(offset: number, length: number): Promise<Uint8Array> {
    try {
      const fd = await this.open(flags.write)
      const into = new Uint8Array(Math.max(0, Math.min(length, this.length - offset)))
      return into.subarray(0, await System.readAt(fd, into, 0, into.length, offset))
    } catch (cause) {
      if (codeOf(cause) === "ENOENT") return new Uint8Array(0)
      throw cause
    }
  }

  private async append(bytes: Uint8Array): Promise<void> {
    await System.writeAt(await this.open(flags.grow), bytes, this.length)
    this.length += bytes.length
  }

  private async sync(): Promise<void> {
    await System.fsync(await this.open(flags.grow))
    await System.syncNames(this.directory)
  }

  private async cut(length: number): Promise<void> {
    const fd = await this.open(flags.grow)
    if (length >= this.length) return
    await System.truncate(fd, length)
    await System.fsync(fd)
    this.length = length
  }

  private async open(how: number): Promise<number> {
    if (this.fd === undefined) {
      this.fd = await System.open(this.directory.at(this.name), how, 0o600)
      this.length = System.fstat(this.fd).size
    }
    return this.fd
  }
}
