import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { bundleWorkflows } from '../worker/worker.ts'

const [path = 'build/workflows.js'] = process.argv.slice(2)
const { code } = await bundleWorkflows()
await mkdir(dirname(path), { recursive: true })
await writeFile(path, code)
console.log(`The workflows are in ${path}.`)
