"""API, ExampleAPI and ScheduledReports: versions, settings, reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.matomo.fake.call import VIEW, ApiError, Call, api, plugins
from siteward.platforms.matomo.fake.sites import unexpected_site
from siteward.platforms.matomo.fake.state import Report

if TYPE_CHECKING:
    from siteward.platforms.matomo.fake.php import Value

ACTIVE_BESIDES = {"Login", "CoreHome", "VisitsSummary", "MultiSites", "PrivacyManager"}


@api("API.getMatomoVersion", since=(3, 3))
@api("API.getPiwikVersion")
def _get_version(call: Call) -> Value:
    call.require_some(VIEW)
    return call.release.text


@api("ExampleAPI.getPiwikVersion", until=(3,))
def _get_example_version(call: Call) -> Value:
    call.require_some(VIEW)
    return call.release.text


@api("API.getPhpVersion", since=(3,))
def _get_php_version(call: Call) -> Value:
    call.require_superuser()
    if call.release.since(4):
        return {"version": "8.2.36", "major": 8, "minor": 2, "release": 36, "versionId": 80236, "extra": ""}
    return {
        "version": "5.6.40-r7-janforman.com",
        "major": 5,
        "minor": 6,
        "release": 40,
        "versionId": 50640,
        "extra": "-r7-janforman.com",
    }


@api("API.getSettings", until=(6,))
def _get_settings(_call: Call) -> Value:
    return {"SDK_batch_size": 10, "SDK_interval_value": 30}


@api("API.isPluginActivated", "pluginName")
def _is_plugin_activated(call: Call) -> Value:
    call.require_some(VIEW)
    return call.text("pluginName") in plugins(call.state) | ACTIVE_BESIDES


@api("ScheduledReports.addReport", "idSite", "description", "period", "hour", "reportType", "reportFormat", "reports")
def _add_report(call: Call) -> Value:
    call.require_login()
    site = call.integer("idSite")
    call.require_on(VIEW, [site])
    if site not in call.state.sites:
        raise ApiError(unexpected_site(call.text("idSite")))
    report = Report(call.state.next("report"), call.actor.login, site, call.text("description"))
    call.state.reports.append(report)
    call.touched = True
    return report.id


@api("ScheduledReports.getReports")
def _get_reports(call: Call) -> Value:
    call.require_some(VIEW)
    site = call.integer("idSite")
    return [
        {
            "idreport": call.number(report.id),
            "idsite": call.number(report.site),
            "login": report.login,
            "description": report.description,
        }
        for report in call.state.reports
        if report.login == call.actor.login and site in (0, report.site)
    ]
