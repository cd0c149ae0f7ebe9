"use strict";
// The log of the deployment under way, as it grows. Uses refresh.js.

const live = document.getElementById("live");
const liveLog = live.querySelector("pre");
const cluster = `/api/v1/clusters/${encodeURIComponent(live.dataset.cluster)}`;
let followed = ""; // the deployment whose log is shown; it stays when the deployment is over

async function newestDeployment() {
  const page = await (await fetched(`${cluster}/deployments?page_size=1`, "application/json")).json();
  return page.items[0];
}

async function showLog() {
  const newest = await newestDeployment();
  const isUnderWay = newest && ["planning", "applying"].includes(newest.state);
  if (!isUnderWay && newest?.id !== followed) return;
  const log = await (await fetched(`${cluster}/deployments/${newest.id}/log`, "text/plain")).text();
  live.hidden = false;
  const followsEnd = liveLog.scrollTop + liveLog.clientHeight >= liveLog.scrollHeight - 4;
  if (liveLog.textContent !== log) liveLog.textContent = log;
  if (followsEnd || newest.id !== followed) liveLog.scrollTop = liveLog.scrollHeight;
  followed = newest.id;
}

repeat("log", 2000, showLog)();
