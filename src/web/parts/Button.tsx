/** Buttons: one main thing to do, quiet others, and the dangerous. */
import type { ComponentProps, ReactNode } from "react"

type Look = "main" | "quiet" | "plain" | "danger"

const looks: Record<Look, string> = {
  main: "bg-accent text-on-accent hover:bg-accent-strong border-transparent",
  quiet: "bg-raised text-ink border-line hover:border-edge",
  plain: "bg-transparent text-ink border-transparent hover:bg-sunken",
  danger: "bg-transparent text-danger border-current hover:bg-danger-soft"
}

export const Button = ({
  look = "quiet",
  busy = false,
  className = "",
  children,
  ...rest
}: ComponentProps<"button"> & { readonly look?: Look; readonly busy?: boolean }) => (
  <button
    type="button"
    aria-busy={busy || undefined}
    className={`inline-flex min-h-10 items-center justify-center gap-2 rounded-xl border px-4 text-base font-medium transition-colors disabled:opacity-60 ${looks[look]} ${busy ? "breathe" : ""} ${className}`}
    {...rest}
    disabled={rest.disabled === true || busy}
  >
    {children}
  </button>
)

/** A button that is only a picture; its label is read aloud, and shown when pointed at. */
export const IconButton = ({
  label,
  children,
  className = "",
  ...rest
}: ComponentProps<"button"> & { readonly label: string; readonly children: ReactNode }) => (
  <button
    type="button"
    aria-label={label}
    title={label}
    className={`inline-grid size-10 shrink-0 place-items-center rounded-xl text-muted transition-colors hover:bg-sunken hover:text-ink disabled:opacity-50 ${className}`}
    {...rest}
  >
    {children}
  </button>
)
