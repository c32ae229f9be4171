/**
 * The file store's thread: takes requests of the main one, handles each in its turn, and answers. What it runs imports
 * nothing of Effect, which keeps it small. It ends when the main thread ends it.
 */
import { parentPort } from "node:worker_threads"
import { codeOf, Fault } from "./FileStoreCalls.ts"
import { FileStoreHandlers } from "./FileStoreHandlers.ts"

/** What kinds of work there are. */
export type Work = keyof FileStoreHandlers

export interface Request<Kind extends Work = Work> {
  readonly number: number
  readonly kind: Kind
  readonly args: Parameters<FileStoreHandlers[Kind]>
}

/** An error crosses as what it says: where it failed and at what, as far as that is known here. */
export interface Failed {
  readonly code: string
  readonly path?: string
  readonly action?: string
}

export type Answer =
  | { readonly number: number; readonly done: unknown }
  | { readonly number: number; readonly failed: Failed }

const failed = (cause: unknown): Failed =>
  cause instanceof Fault ? { code: cause.code, path: cause.path, action: cause.action } : { code: codeOf(cause) }

const handlers = new FileStoreHandlers()

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
const answer = (said: Answer): void => parentPort?.postMessage(said)

parentPort?.on("message", ({ args, kind, number }: Request) => {
  const refuse = (cause: unknown) => answer({ number, failed: failed(cause) })
  try {
    const done: unknown = Reflect.apply(handlers[kind], handlers, args)
    // What is done at once is answered at once.
    if (done instanceof Promise) done.then((done: unknown) => answer({ number, done }), refuse)
    else answer({ number, done })
  } catch (cause) {
    refuse(cause)
  }
})
