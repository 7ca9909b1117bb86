from choir import settings
from choir.exports.jobs import ExportJob

FOLDER = settings.require("EXPORT_FOLDER")


def order(session, name):
    session.add(ExportJob(path="%s/%s.csv" % (FOLDER, name)))
