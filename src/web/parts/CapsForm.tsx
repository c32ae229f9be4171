/** How fast transfers may go in each direction, of the whole node or of one peer; nothing written is no cap. */
import type * as Effect from "effect/Effect"
import { useEffect, useState } from "react"
import { capMin, type Caps, type CapsChange } from "../../schema/Profile.ts"
import type { Client } from "../state/Client.ts"
import { tell } from "../state/Notices.ts"
import { useAsk } from "../state/useAsk.ts"
import { size } from "../text/format.ts"
import { Button } from "./Button.tsx"
import { Field } from "./Field.tsx"

const unit = 1_000_000

/** As a person reads it, in megabytes a second. */
const written = (cap: number | null): string => (cap === null ? "" : String(Number((cap / unit).toFixed(3))))

/** Bytes a second, null for no cap, or what is wrong about it. */
const read = (text: string): number | null | string => {
  const trimmed = text.trim().replace(",", ".")
  if (trimmed === "") return null
  const bytes = Math.round(Number(trimmed) * unit)
  if (!Number.isSafeInteger(bytes)) return "Write a number, or nothing for no limit."
  return bytes < capMin ? `At least ${size(capMin)} a second.` : bytes
}

export const CapsForm = ({
  change,
  hint,
  load
}: {
  readonly hint: string
  readonly load: (client: Client) => Effect.Effect<Caps, unknown>
  readonly change: (client: Client, change: CapsChange) => Effect.Effect<Caps, unknown>
}) => {
  const [caps, setCaps] = useState<Caps | null>(null)
  const [send, setSend] = useState("")
  const [receive, setReceive] = useState("")
  const { busy, problem, run } = useAsk()
  const show = (now: Caps) => {
    setCaps(now)
    setSend(written(now.send))
    setReceive(written(now.receive))
  }
  // Asked once: whoever shows this names it by what it is about.
  useEffect(() => void run(load, show), [run])
  if (caps === null) return problem === null ? null : <p role="alert">{problem}</p>
  const wanted = { send: read(send), receive: read(receive) }
  const isChanged = send !== written(caps.send) || receive !== written(caps.receive)
  const save = () => {
    const { receive, send } = wanted
    if (typeof send === "string" || typeof receive === "string") return
    void run(
      (client) => change(client, { send, receive }),
      (now) => {
        show(now)
        tell("done", "Saved.")
      }
    )
  }
  const field = (label: string, value: string, set: (text: string) => void, cap: number | null | string) => (
    <Field
      label={label}
      inputMode="decimal"
      placeholder="No limit"
      value={value}
      problem={typeof cap === "string" ? cap : null}
      onChange={(event) => set(event.target.value)}
    />
  )
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        save()
      }}
    >
      <fieldset className="min-w-0">
        <legend className="mb-1.5 text-sm font-medium">Speed</legend>
        <div className="grid gap-3 sm:grid-cols-2">
          {field("Sending, at most MB/s", send, setSend, wanted.send)}
          {field("Receiving, at most MB/s", receive, setReceive, wanted.receive)}
        </div>
        <p className="mt-1.5 text-sm text-muted">{hint}</p>
      </fieldset>
      {problem !== null && (
        <p role="alert" className="mt-2 text-sm text-danger">
          {problem}
        </p>
      )}
      {isChanged && (
        <Button
          type="submit"
          look="main"
          className="mt-3"
          busy={busy}
          disabled={typeof wanted.send === "string" || typeof wanted.receive === "string"}
        >
          Save the speed
        </Button>
      )}
    </form>
  )
}
