/** Short words at the edge of the page, read aloud too. */
import { CircleAlert, CircleCheck, X } from "lucide-react"
import { useAtomValue } from "../state/atoms.ts"
import { notices, put } from "../state/Notices.ts"
import { spoken } from "../state/Announcing.ts"
import { IconButton } from "./Button.tsx"

export const Notices = () => {
  const all = useAtomValue(notices)
  const aloud = useAtomValue(spoken)
  return (
    <>
      <div aria-live="polite" className="sr-only">
        <span key={aloud.number}>{aloud.text}</span>
      </div>
      <div
        role="status"
        className="pointer-events-none fixed inset-x-0 bottom-18 z-50 flex flex-col items-center gap-2 px-4 md:bottom-24"
      >
        {all.map((notice) => (
          <div
            key={notice.id}
            className="arrive pointer-events-auto flex w-full max-w-md items-center gap-3 rounded-2xl border border-line bg-raised py-1.5 pr-1.5 pl-4 shadow-float"
          >
            {notice.kind === "problem" ? (
              <CircleAlert size={20} className="shrink-0 text-danger" aria-hidden />
            ) : (
              <CircleCheck size={20} className="shrink-0 text-accent" aria-hidden />
            )}
            <p className="min-w-0 flex-1 py-1.5 text-base break-words">{notice.text}</p>
            <IconButton label="Put away" onClick={() => put(notice.id)}>
              <X size={18} aria-hidden />
            </IconButton>
          </div>
        ))}
      </div>
    </>
  )
}
