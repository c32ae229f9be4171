/** Makes a ticket for one other node: to be copied there, or scanned. */
import { Copy, Ticket } from "lucide-react"
import { useState } from "react"
import { copy } from "../state/Copying.ts"
import { useAsk } from "../state/useAsk.ts"
import { useNow } from "../state/useNow.ts"
import { span } from "../text/format.ts"
import { Button } from "./Button.tsx"
import { QrCode } from "./QrCode.tsx"

interface Invitation {
  readonly ticket: string
  readonly expires: number
}

export const Invite = () => {
  const [made, setMade] = useState<Invitation | null>(null)
  const { busy, problem, run } = useAsk()
  const now = useNow(1_000)
  const left = made === null ? 0 : (made.expires - now) / 1000
  const make = () => void run((client) => client.trust.invite({ payload: {} }), setMade)
  if (made === null || left <= 0) {
    return (
      <div>
        <p className="text-muted">
          {made === null
            ? "A ticket connects one other node to this one, and each has verified the other at once. Send it by a way you trust."
            : "This ticket has expired."}
        </p>
        {problem !== null && (
          <p role="alert" className="mt-3 text-sm text-danger">
            {problem}
          </p>
        )}
        <Button look="main" className="mt-4 w-full" busy={busy} onClick={make}>
          <Ticket size={18} aria-hidden />
          Make a ticket
        </Button>
      </div>
    )
  }
  return (
    <div className="flex flex-col items-center">
      <QrCode text={made.ticket} label="The ticket as a QR code" />
      <p
        className="mt-4 max-h-28 w-full overflow-y-auto rounded-xl bg-sunken p-3 font-mono text-xs break-all select-all"
        tabIndex={0}
      >
        {made.ticket}
      </p>
      <p className="mt-2 text-sm text-muted">Good for one node, for another {span(left)}.</p>
      <Button look="main" className="mt-4 w-full" onClick={() => void copy(made.ticket, "The ticket")}>
        <Copy size={18} aria-hidden />
        Copy
      </Button>
    </div>
  )
}
