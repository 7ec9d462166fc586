// SCIMMY behind Express: everything about SCIM is SCIMMY's; here is only where resources are kept.
//
// Environment: TOKEN is the bearer token. The first line on standard output is the base URL. The program ends with its
// standard input.
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const token = process.env.TOKEN;
process.stdin.on("end", () => process.exit(0)).resume();

const users = new Map();
const groups = new Map();
let last = 0;

const missing = id => new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);
const taken = name => new SCIMMY.Types.Error(409, "uniqueness", `${name} is taken`);
const same = (a, b) => String(a ?? "").toLowerCase() === String(b ?? "").toLowerCase();

// keep makes a store of one kind of resource, in which nobody else may have the same key.
function keep(Resource, store, key, show, gone = () => {}) {
    SCIMMY.Resources.declare(Resource)
        .ingress((resource, data) => {
            const id = resource.id ?? String(++last);
            const before = store.get(id);
            if (resource.id && !before) throw missing(id);
            for (const [other, held] of store) {
                if (other !== id && same(held[key], data[key])) throw taken(data[key]);
            }
            const now = new Date().toISOString();
            const kept = {...JSON.parse(JSON.stringify(data)), id, meta: {created: before?.meta.created ?? now, lastModified: now}};
            store.set(id, kept);
            return show(kept);
        })
        .egress(resource => {
            if (resource.id) {
                if (!store.has(resource.id)) throw missing(resource.id);
                return show(store.get(resource.id));
            }
            const all = [...store.values()].map(show);
            return resource.filter ? resource.filter.match(all) : all;
        })
        .degress(resource => {
            if (!store.delete(resource.id)) throw missing(resource.id);
            gone(resource.id);
        });
}

keep(SCIMMY.Resources.User, users, "userName", user => ({
    ...user,
    groups: [...groups.values()]
        .filter(group => group.members?.some(member => member.value === user.id))
        .map(group => ({value: group.id, display: group.displayName, type: "direct"})),
}), id => {
    for (const group of groups.values()) group.members = group.members?.filter(member => member.value !== id);
});
keep(SCIMMY.Resources.Group, groups, "displayName", group => ({...group}));
SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false);

const app = express();
app.use("/scim/v2", new SCIMMYRouters({
    type: "bearer",
    handler: request => {
        if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("The token is wrong.");
    },
}));
const server = app.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/scim/v2`));
