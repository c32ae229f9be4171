/**
 * What a person must see: a key that changed, an identity that was copied. An alarm stays above everything until it is
 * put away on purpose, which takes two steps; the node keeps it until then, whichever page is open.
 */
import { ShieldAlert } from "lucide-react"
import { useState } from "react"
import type { Alarm } from "../../schema/Alarm.ts"
import { short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { useAtomValue } from "../state/atoms.ts"
import { model } from "../state/Live.ts"
import { useAsk } from "../state/useAsk.ts"
import { show } from "../state/View.ts"
import { capital, moment } from "../text/format.ts"
import { alarmTitles } from "../text/alarms.ts"
import { Button } from "./Button.tsx"

const AlarmBar = ({ alarm, known }: { readonly alarm: Alarm; readonly known: boolean }) => {
  const [sure, setSure] = useState(false)
  const { busy, problem, run } = useAsk()
  const putAway = () => {
    setSure(false)
    void run((client) => client.alarms.dismiss({ params: { id: alarm.id } }))
  }
  return (
    <div
      role="alert"
      className="flex flex-wrap items-center gap-x-4 gap-y-2 border-b border-danger bg-danger-soft px-5 py-3 text-danger"
    >
      <ShieldAlert size={24} className="shrink-0" aria-hidden />
      <div className="min-w-48 flex-1">
        <p className="text-base font-semibold">{alarmTitles[alarm.kind]}</p>
        <p className="text-base break-words">
          {capital(inert(alarm.text))} <span className="font-mono text-sm">({short(alarm.peer)})</span>
        </p>
        <p className="text-sm">{moment(alarm.at)}</p>
        {problem !== null && <p className="text-sm font-semibold">{problem}</p>}
      </div>
      <div className="flex flex-wrap gap-2">
        {known && (
          <Button look="danger" onClick={() => show({ _tag: "Peer", peer: alarm.peer })}>
            Look at the peer
          </Button>
        )}
        <Button
          look="danger"
          busy={busy}
          onClick={() => (sure ? putAway() : setSure(true))}
          onBlur={() => setSure(false)}
        >
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
    <section aria-label="Alarms" className="max-h-[40dvh] shrink-0 overflow-y-auto">
      {known.alarms.map((alarm) => (
        <AlarmBar key={alarm.id} alarm={alarm} known={known.peers.has(alarm.peer)} />
      ))}
    </section>
  )
}

/** In a dialog, which lies over the page: that there is an alarm below it. */
export const AlarmBelow = ({ onClose }: { readonly onClose: () => void }) => {
  const [alarm] = useAtomValue(model)?.alarms ?? []
  if (alarm === undefined) return null
  return (
    <div
      role="alert"
      className="flex items-center gap-3 rounded-t-card border-b border-danger bg-danger-soft px-6 py-2.5 text-danger"
    >
      <ShieldAlert size={20} className="shrink-0" aria-hidden />
      <p className="min-w-0 flex-1 font-semibold">{alarmTitles[alarm.kind]}</p>
      <button type="button" className="font-medium underline underline-offset-4" onClick={onClose}>
        See it
      </button>
    </div>
  )
}
