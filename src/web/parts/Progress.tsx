/** A bar that says how far something is; without a value it only says that something happens. */

export const Progress = ({
  label,
  value,
  look = "running"
}: {
  readonly label: string
  /** From 0 to 1. */
  readonly value: number | undefined
  readonly look?: "running" | "resting" | "failed"
}) => (
  <div
    role="progressbar"
    aria-label={label}
    aria-valuemin={0}
    aria-valuemax={100}
    aria-valuenow={value === undefined ? undefined : Math.floor(value * 100)}
    className="h-1.5 overflow-hidden rounded-full bg-sunken"
  >
    <div
      style={{ width: value === undefined ? "40%" : `${value * 100}%` }}
      className={`h-full rounded-full transition-[width] duration-150 ${value === undefined ? "slide" : ""} ${look === "failed" ? "bg-danger" : look === "resting" ? "bg-edge" : "bg-accent"}`}
    />
  </div>
)
