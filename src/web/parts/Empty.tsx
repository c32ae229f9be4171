/** What stands where nothing is yet: what belongs here, and how to get it. */
import type { LucideIcon } from "lucide-react"
import type { ReactNode } from "react"

export const Empty = ({
  icon: Icon,
  title,
  children
}: {
  readonly icon: LucideIcon
  readonly title: string
  readonly children?: ReactNode
}) => (
  <div className="mx-auto flex max-w-sm flex-col items-center gap-3 px-6 py-10 text-center">
    <span className="grid size-14 place-items-center rounded-2xl bg-accent-soft text-accent-ink">
      <Icon size={26} strokeWidth={1.75} aria-hidden />
    </span>
    <p className="text-lg font-semibold">{title}</p>
    {children !== undefined && <div className="text-base text-muted">{children}</div>}
  </div>
)
