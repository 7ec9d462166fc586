// Polis, as its own web service serves it: here are only its routes (pages/api/scim of its repository) and its store in
// memory. Members of a group, which its SCIM never shows, are at /members/GROUP.
//
// Environment: TOKEN is the bearer token. The first line on standard output is the base URL. The program ends with its
// standard input.
import http from "node:http";
import jackson from "@boxyhq/saml-jackson";

process.stdin.on("end", () => process.exit(0)).resume();
console.log = () => {}; // what it has to say about webhooks
const quiet = {info() {}, warn() {}, error: console.error};
const {directorySyncController} = await jackson.controllers({
    externalUrl: "http://127.0.0.1",
    samlPath: "/saml",
    noAnalytics: true,
    logger: quiet,
    db: {engine: "mem"},
});
const {data: directory, error} = await directorySyncController.directories.create({
    tenant: "example", product: "app", name: "Example", type: "generic-scim-v2",
});
if (error) throw new Error(error.message);
// The token that Polis makes up is hidden behind the one that the test knows.
const secrets = {[process.env.TOKEN]: directory.scim.secret};

const number = text => text ? parseInt(text) : undefined;

async function body(request) {
    let text = "";
    for await (const chunk of request) text += chunk;
    return text ? JSON.parse(text) : undefined;
}

async function answer(request) {
    const url = new URL(request.url, "http://127.0.0.1");
    const parts = url.pathname.split("/").filter(Boolean).map(decodeURIComponent);
    if (parts[0] === "members") {
        const data = [];
        for (let more = true; more;) {
            const page = await directorySyncController.groups.getGroupMembers({groupId: parts[1], pageOffset: data.length, pageLimit: 50});
            data.push(...page.data);
            more = page.data.length > 0;
        }
        return {status: 200, data};
    }
    const [, , , directoryId, resourceType, resourceId] = parts;
    const bearer = request.headers.authorization?.replace(/^Bearer /, "");
    return directorySyncController.requests.handle({
        method: request.method,
        body: await body(request),
        directoryId,
        resourceType: resourceType ?? "",
        resourceId,
        apiSecret: secrets[bearer] ?? bearer,
        query: {
            count: number(url.searchParams.get("count")),
            startIndex: number(url.searchParams.get("startIndex")),
            filter: url.searchParams.get("filter") ?? undefined,
        },
    });
}

const server = http.createServer(async (request, response) => {
    try {
        const {status, data} = await answer(request);
        response.writeHead(status, {"Content-Type": "application/json"});
        response.end(JSON.stringify(data));
    } catch (problem) {
        response.writeHead(500, {"Content-Type": "application/json"});
        response.end(JSON.stringify({error: {message: problem.message}}));
    }
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`http://127.0.0.1:${server.address().port}/api/scim/v2.0/${directory.id}\n`));
