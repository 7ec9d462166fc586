// scim-patch, asked line by line: {"resource": …, "operation": …} on standard input, and what it makes of the resource, or
// why it does not, on standard output. Everything about SCIM is scim-patch's.
import readline from "node:readline";
import { patchBodyValidation, scimPatch } from "scim-patch";

for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const { resource, operation } = JSON.parse(line);
    let answer;
    try {
        patchBodyValidation({ schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations: [operation] });
        answer = { resource: scimPatch(resource, [operation]) };
    } catch (error) {
        answer = { error: error.message, scimType: error.scimCode ?? "" };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
}
