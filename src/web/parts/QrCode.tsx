/** A text as a QR code: always dark on light, since some cameras read nothing else. */
import { useMemo } from "react"
import { encode } from "uqr"

export const QrCode = ({ label, text }: { readonly text: string; readonly label: string }) => {
  const { path, size } = useMemo(() => {
    const { data, size } = encode(text, { ecc: "L", border: 2 })
    const cells = data.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : [])))
    return { path: cells.join(""), size }
  }, [text])
  return (
    <svg
      role="img"
      aria-label={label}
      viewBox={`0 0 ${size} ${size}`}
      shapeRendering="crispEdges"
      className="w-full max-w-72 rounded-xl border border-line"
    >
      <rect width={size} height={size} fill="#ffffff" />
      <path d={path} fill="#000000" />
    </svg>
  )
}
