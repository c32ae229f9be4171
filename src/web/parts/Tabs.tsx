/** A few panels of which one is shown: arrow keys go from tab to tab, Tab into the panel. */
import { type KeyboardEvent, type ReactNode, useId, useState } from "react"

export interface Tab {
  readonly label: string
  readonly panel: ReactNode
}

const steps: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowLeft: -1 }

export const Tabs = ({ label, tabs }: { readonly label: string; readonly tabs: ReadonlyArray<Tab> }) => {
  const id = useId()
  const [shown, setShown] = useState(0)
  const walk = (event: KeyboardEvent<HTMLElement>) => {
    const step = steps[event.key]
    if (step === undefined) return
    event.preventDefault()
    const next = (shown + step + tabs.length) % tabs.length
    setShown(next)
    event.currentTarget.querySelectorAll<HTMLElement>("[role=tab]")[next]?.focus()
  }
  return (
    <>
      <div
        role="tablist"
        aria-label={label}
        onKeyDown={walk}
        className="mb-5 grid auto-cols-fr grid-flow-col gap-1 rounded-xl bg-sunken p-1"
      >
        {tabs.map((tab, at) => (
          <button
            key={tab.label}
            type="button"
            role="tab"
            id={`${id}-${at}`}
            aria-selected={at === shown}
            aria-controls={`${id}-panel`}
            tabIndex={at === shown ? 0 : -1}
            onClick={() => setShown(at)}
            className="min-h-10 rounded-lg text-base font-medium text-muted aria-selected:bg-raised aria-selected:text-ink aria-selected:shadow-card"
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${shown}`}>
        {tabs[shown]?.panel}
      </div>
    </>
  )
}
