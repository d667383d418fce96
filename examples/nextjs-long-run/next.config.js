// `standalone` puts all that the server needs into .next/standalone: the image holds nothing else.
export default { output: "standalone" }
