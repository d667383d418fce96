// The state of each report, one file per report. With more than one replica, keep it in your database instead.
import { mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"

const folder = process.env.DATA_DIR ?? "data"
const ids = /^[0-9a-f-]{36}$/

export async function load(id) {
  if (!ids.test(id)) return undefined
  try {
    return JSON.parse(await readFile(join(folder, `${id}.json`), "utf8"))
  } catch (error) {
    if (error.code === "ENOENT") return undefined
    throw error
  }
}

// Renamed into place, so that a reader, or a crash, never sees half of it.
export async function save(report) {
  await mkdir(folder, { recursive: true })
  const file = join(folder, `${report.id}.json`)
  await writeFile(`${file}.new`, JSON.stringify(report))
  await rename(`${file}.new`, file)
}
