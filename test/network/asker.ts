/**
 * Asks the API of the node whose data directory is the argument, from inside its network namespace: one process for all
 * questions, since each new one costs more than its answer. A line of JSON on its input is a question with a number; a
 * line on its output is the answer with that number. Ends with its input.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"

interface Question {
  readonly number: number
  readonly method: string
  readonly path: string
  readonly body?: unknown
}

const ask = async ({ body, method, number, path }: Question) => {
  try {
    const { token, url } = JSON.parse(readFileSync(join(process.argv[2] ?? "", "control.json"), "utf8"))
    const answer = await fetch(new URL(path, url), {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await answer.text()
    return { number, status: answer.status, body: text === "" ? null : JSON.parse(text) }
  } catch (error) {
    return { number, status: 0, body: String(error) }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  void ask(JSON.parse(line)).then((answer) => console.log(JSON.stringify(answer)))
}
