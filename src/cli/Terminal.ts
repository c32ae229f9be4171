/**
 * Lines in and lines out at the same time: on a terminal what is printed goes above the line that is being typed, and
 * elsewhere it is just printed. It owns stdin and the prompt until its scope ends.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createInterface, clearLine, cursorTo } from "node:readline"
import * as Output from "./Output.ts"

export interface Terminal {
  readonly isInteractive: boolean
  /** What is typed, line by line; ends at the end of the input, or by Ctrl-C or Ctrl-D on a terminal. */
  readonly lines: Stream.Stream<string>
  /** The text must be inert already. */
  readonly print: (text: string) => Effect.Effect<void, Output.Unwritten>
  /** What stands before the line that is being typed; inert already. */
  readonly prompt: (text: string) => Effect.Effect<void>
}

/** `complete`: what a beginning may become. */
export const open = (complete: (line: string) => ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const isInteractive = process.stdin.isTTY && process.stdout.isTTY
    const reader = yield* Effect.acquireRelease(
      Effect.sync(() =>
        createInterface({
          input: process.stdin,
          ...(isInteractive && { output: process.stdout }),
          terminal: isInteractive,
          completer: (line: string): [Array<string>, string] => [[...complete(line)], line]
        })
      ),
      (reader) =>
        Effect.sync(() => {
          reader.close()
          if (isInteractive) process.stdout.write("\n")
          // An open stdin would keep the process.
          process.stdin.destroy()
        })
    )
    // Ctrl-C leaves the chat as /quit does; the node goes on.
    reader.on("SIGINT", () => reader.close())
    // Begun at once: lines that come before anyone asks for them wait.
    const iterator = reader[Symbol.asyncIterator]()
    const terminal: Terminal = {
      isInteractive,
      lines: Stream.orDie(Stream.fromAsyncIterable({ [Symbol.asyncIterator]: () => iterator }, (cause) => cause)),
      print: Effect.fnUntraced(function* (text) {
        if (isInteractive) {
          cursorTo(process.stdout, 0)
          clearLine(process.stdout, 0)
        }
        yield* Output.line(text)
        if (isInteractive) reader.prompt(true)
      }),
      prompt: (text) =>
        Effect.sync(() => {
          if (!isInteractive) return
          reader.setPrompt(text)
          reader.prompt(true)
        })
    }
    return terminal
  })
