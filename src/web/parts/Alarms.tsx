/**
 * What a person must see: a key that changed, an identity that was copied. An alarm stays above everything until it is
 * put away on purpose, which takes two steps.
 */
import { ShieldAlert } from "lucide-react"
import { useState } from "react"
import { short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { useAtomValue } from "../state/atoms.ts"
import { putAway } from "../state/Alarming.ts"
import { model } from "../state/Live.ts"
import type { Alarm } from "../state/Model.ts"
import { show } from "../state/View.ts"
import { Button } from "./Button.tsx"

const titles: Record<Alarm["kind"], string> = {
  changedKey: "A peer’s key changed",
  clonedIdentity: "An identity is in use twice"
}

const AlarmBar = ({ alarm, known }: { readonly alarm: Alarm; readonly known: boolean }) => {
  const [sure, setSure] = useState(false)
  return (
    <div
      role="alert"
      className="flex flex-wrap items-center gap-x-4 gap-y-2 border-b border-danger bg-danger-soft px-5 py-3 text-danger"
    >
      <ShieldAlert size={24} className="shrink-0" aria-hidden />
      <div className="min-w-48 flex-1">
        <p className="text-base font-semibold">{titles[alarm.kind]}</p>
        <p className="text-base break-words">
          {inert(alarm.text)} <span className="font-mono text-sm">({short(alarm.peer)})</span>
        </p>
      </div>
      <div className="flex flex-wrap gap-2">
        {known && (
          <Button look="danger" onClick={() => show({ _tag: "Peer", peer: alarm.peer })}>
            Look at the peer
          </Button>
        )}
        <Button look="danger" onClick={() => (sure ? putAway(alarm) : setSure(true))} onBlur={() => setSure(false)}>
          {sure ? "Yes, put it away" : "I have understood"}
        </Button>
      </div>
    </div>
  )
}

export const Alarms = () => {
  const known = useAtomValue(model)
  if (known === null || known.alarms.length === 0) return null
  return (
    <section aria-label="Alarms" className="max-h-[40dvh] overflow-y-auto">
      {known.alarms.map((alarm) => (
        <AlarmBar key={`${alarm.kind} ${alarm.peer} ${alarm.text}`} alarm={alarm} known={known.peers.has(alarm.peer)} />
      ))}
    </section>
  )
}
