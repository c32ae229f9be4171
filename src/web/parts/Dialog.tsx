/**
 * A dialog over the page: the browser's own, which keeps the focus inside, closes on Escape and gives the focus back.
 */
import { X } from "lucide-react"
import { type ReactNode, useId, useLayoutEffect, useRef } from "react"
import { registry } from "../state/atoms.ts"
import { modals } from "../state/View.ts"
import { AlarmBelow } from "./Alarms.tsx"
import { IconButton } from "./Button.tsx"
import { Notices } from "./Notices.tsx"

export const Dialog = ({
  title,
  wide = false,
  onClose,
  children,
  footer
}: {
  readonly title: ReactNode
  readonly wide?: boolean
  readonly onClose: () => void
  readonly children: ReactNode
  readonly footer?: ReactNode
}) => {
  const ref = useRef<HTMLDialogElement>(null)
  const label = useId()
  useLayoutEffect(() => {
    const dialog = ref.current
    dialog?.showModal()
    registry.update(modals, (count) => count + 1)
    return () => {
      dialog?.close()
      registry.update(modals, (count) => count - 1)
    }
  }, [])
  return (
    <dialog
      ref={ref}
      aria-labelledby={label}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onMouseDown={(event) => {
        if (event.target === ref.current) onClose()
      }}
      className={`arrive m-auto max-h-[min(92dvh,52rem)] w-[calc(100vw-1.5rem)] overflow-visible rounded-card bg-transparent p-0 text-ink shadow-float ${wide ? "max-w-2xl" : "max-w-lg"}`}
    >
      <div className="flex max-h-[inherit] flex-col rounded-card border border-line bg-surface">
        <AlarmBelow onClose={onClose} />
        <header className="flex items-center gap-3 px-6 pt-5 pb-3">
          <h2 id={label} className="min-w-0 flex-1 truncate text-xl font-semibold tracking-tight">
            {title}
          </h2>
          <IconButton label="Close" onClick={onClose} className="-mr-2">
            <X size={20} aria-hidden />
          </IconButton>
        </header>
        {/* Reached by the keyboard, since it may be longer than the screen and hold nothing else to reach. */}
        <div tabIndex={0} className="min-h-0 flex-1 overflow-y-auto px-6 pb-6 outline-offset-[-2px]">
          {children}
        </div>
        {footer !== undefined && (
          <footer className="flex flex-wrap items-center justify-end gap-2 border-t border-line px-6 py-4">
            {footer}
          </footer>
        )}
      </div>
      <Notices />
    </dialog>
  )
}
