"""Jobs: the list, each of them, and what is done with them."""

from django.urls import path

from web.app import events, jobs, jobs_page, speakers

urlpatterns = [
    path("events", events.events, name="events"),
    path("jobs", jobs.jobs, name="jobs"),
    path("jobs/act", jobs.jobs_act, name="jobs-act"),
    path("jobs/zip", jobs.jobs_zip, name="jobs-zip"),
    path("jobs/<uuid:job_uuid>", jobs_page.job, name="job"),
    path("jobs/<uuid:job_uuid>/zip", jobs_page.job_zip, name="job-zip"),
    path("jobs/<uuid:job_uuid>/files/<uuid:asset_uuid>", jobs_page.job_file, name="job-file"),
    path("jobs/<uuid:job_uuid>/name", jobs_page.job_name, name="job-name"),
    path("jobs/<uuid:job_uuid>/names", speakers.names, name="speakers-names"),
    path("jobs/<uuid:job_uuid>/merge", speakers.merge, name="speakers-merge"),
    path("jobs/<uuid:job_uuid>/timeline/<str:form>", speakers.timeline, name="job-timeline"),
]
