/**
 * The main thread's side of the file store's thread: one worker, started with the first request and anew if it ended by
 * itself. Requests to one that ended fail with ETHREAD, and so do those about what it had open: that is to be opened
 * again. Its scope ends it. Its memory has no limit of its own: V8 would end the whole process with a thread that is over
 * it, and what it holds is bounded by what one transfer may list.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import { codeOf, Fault, refusal } from "./FileStoreCalls.ts"
import type { FileStoreHandlers } from "./FileStoreHandlers.ts"
import type { Answer, Failed, Request, Work } from "./FileStoreWorker.ts"

/** Beside this file, in the sources, in what is built, and in the bundle. */
const program = new URL(`./FileStoreWorker${path.extname(import.meta.url)}`, import.meta.url)

type Result<Kind extends Work> = Awaited<ReturnType<FileStoreHandlers[Kind]>>

interface Waiting {
  readonly resolve: (done: unknown) => void
  readonly reject: (cause: Error) => void
}

const causeOf = ({ action, code, path }: Failed): Error =>
  path === undefined || action === undefined ? refusal(code, code) : new Fault(path, action, code)

export class FileStoreThread {
  private readonly from: URL
  private worker: Worker | undefined
  private readonly waiting = new Map<number, Waiting>()
  private last = 0

  /** `from`: what it runs. */
  constructor(from = program) {
    this.from = from
  }

  /** A number for something that is opened. */
  fresh(): number {
    return ++this.last
  }

  /** Has it done. */
  request<Kind extends Work>(kind: Kind, ...args: Parameters<FileStoreHandlers[Kind]>): Promise<Result<Kind>> {
    return new Promise((resolve, reject) => {
      const number = this.fresh()
      const request: Request<Kind> = { number, kind, args }
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      this.running.postMessage(request)
      // What answers a request is what that kind of work returns.
      this.waiting.set(number, { resolve: (done) => resolve(done as Result<Kind>), reject })
    })
  }

  /** Has it let go of something. One that ended has done so. */
  async release(kind: "endWalk" | "closeSource" | "closeStaging" | "forget", id: number): Promise<void> {
    if (this.worker === undefined) return
    await this.request(kind, id).catch((cause: unknown) => {
      if (codeOf(cause) !== "ETHREAD") throw cause
    })
  }

  async end(): Promise<void> {
    const { worker } = this
    this.worker = undefined
    await worker?.terminate()
    this.failAll(refusal("ETHREAD", "the thread was ended"))
  }

  private get running(): Worker {
    return (this.worker ??= this.start())
  }

  private start(): Worker {
    const worker = new Worker(this.from, { name: "kith files" })
    const over = (why: string) => {
      if (this.worker !== worker) return
      this.worker = undefined
      this.failAll(refusal("ETHREAD", why))
    }
    worker.on("message", (answer: Answer) => this.answered(answer))
    worker.once("error", (error: unknown) => over(String(error)))
    worker.once("exit", () => over("the thread ended"))
    return worker
  }

  private answered(answer: Answer): void {
    const waiting = this.waiting.get(answer.number)
    this.waiting.delete(answer.number)
    if ("failed" in answer) waiting?.reject(causeOf(answer.failed))
    else waiting?.resolve(answer.done)
  }

  private failAll(cause: Error): void {
    const waiting = [...this.waiting.values()]
    this.waiting.clear()
    for (const { reject } of waiting) reject(cause)
  }
}

/** A thread that is not there before it has something to do. */
export const make: Effect.Effect<FileStoreThread, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => new FileStoreThread()),
  (thread) => Effect.promise(() => thread.end())
)
