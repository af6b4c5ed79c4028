/* GEO_DISTANCE, and times plus and minus so many units. */
#include "func/func_int.h"

#include <math.h>
#include <strings.h>

typedef const data_vector *const *vectors;

/* ---- the haversine formula --------------------------------------------------------------------------------------- */

static double degree_value(const data_vector *vector, uint32_t row) {
    return vector->doubles[data_vector_index(vector, row)];
}

static bool is_miles(weir_bytes unit, bool *known) {
    const char c = unit.size ? (char)(unit.data[0] | 0x20) : 0;
    *known = c == 'k' || c == 'm';
    return c == 'm';
}

static weir_status geo_distance(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)overload;
    static const double to_radians = 0.017453292519943295, km = 6371, miles = 3959;
    FUNC_ROWS(selection, row) {
        bool known = true;
        const bool in_miles = count > 4 && is_miles(func_text(arguments[4], row), &known);
        const double lat1 = degree_value(arguments[0], row), lon1 = degree_value(arguments[1], row);
        const double lat2 = degree_value(arguments[2], row), lon2 = degree_value(arguments[3], row);
        if (!known) {
            func_row_error(run, row, "GEO_DISTANCE: the unit is km or miles");
        } else if (fabs(lat1) > 90 || fabs(lat2) > 90 || fabs(lon1) > 180 || fabs(lon2) > 180) {
            func_row_error(run, row, "GEO_DISTANCE: latitudes go to 90, longitudes to 180 degrees");
        } else {
            const double a = sin((lat2 - lat1) * to_radians / 2), b = sin((lon2 - lon1) * to_radians / 2);
            const double h = a * a + b * b * cos(lat1 * to_radians) * cos(lat2 * to_radians);
            result->doubles[row] = (in_miles ? miles : km) * 2 * asin(sqrt(h));
        }
    }
    return weir_ok();
}

/* ---- adding to times --------------------------------------------------------------------------------------------- */

/* Milliseconds of "DAYS", "HOUR", ...; 0 = no unit. */
static int64_t unit_ms(weir_bytes unit) {
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"MILLISECOND", 1}, {"SECOND", 1000}, {"MINUTE", 60000}, {"HOUR", 3600000}, {"DAY", DATA_MS_PER_DAY}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        const size_t size = strlen(units[i].name);
        const bool plural = unit.size == size + 1 && (unit.data[size] | 0x20) == 's';
        if ((unit.size == size || plural) && strncasecmp((const char *)unit.data, units[i].name, size) == 0)
            return units[i].ms;
    }
    return 0;
}

static weir_status add_time(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                            const data_selection *selection, data_vector *result) {
    (void)count;
    const int64_t sign = overload->context ? -1 : 1;
    FUNC_ROWS(selection, row) {
        const int64_t unit = unit_ms(func_text(arguments[0], row));
        const int64_t amount = unit * func_integer(arguments[1], row) * sign, value = func_integer(arguments[2], row);
        int64_t sum;
        if (unit == 0) {
            func_row_error(run, row, "%s: the unit is MILLISECONDS, SECONDS, MINUTES, HOURS or DAYS", overload->name);
        } else if (result->type->kind == DATA_TIMESTAMP) {
            if (__builtin_add_overflow(value, amount, &sum))
                func_row_error(run, row, "%s: out of range", overload->name);
            else result->bigints[row] = sum;
        } else if (result->type->kind == DATA_DATE) {
            sum = value * DATA_MS_PER_DAY + amount;
            const int64_t days = sum / DATA_MS_PER_DAY - (sum % DATA_MS_PER_DAY < 0);
            if (days != (int32_t)days) func_row_error(run, row, "%s: out of range", overload->name);
            else result->ints[row] = (int32_t)days;
        } else {
            sum = (value + amount % DATA_MS_PER_DAY + DATA_MS_PER_DAY) % DATA_MS_PER_DAY;
            result->ints[row] = (int32_t)sum;
        }
    }
    return weir_ok();
}

static const char minus_mark[] = "minus";
#define ADD(name, about, type, mark)                                                                                   \
    { name, "DATE / TIME", about, "INTERVALUNIT, INTEGER, " type, type, 0, add_time, mark, NULL }

static const func_overload overloads[] = {
    {"GEO_DISTANCE", "OTHER", "km between two points given in degrees", "DOUBLE, DOUBLE, DOUBLE, DOUBLE", "DOUBLE", 0,
     geo_distance, NULL, NULL},
    {"GEO_DISTANCE", "OTHER", "distance of two points in km or miles", "DOUBLE, DOUBLE, DOUBLE, DOUBLE, STRING",
     "DOUBLE", 0, geo_distance, NULL, NULL},
    ADD("DATEADD", "a date so many units later", "DATE", NULL),
    ADD("DATESUB", "a date so many units earlier", "DATE", minus_mark),
    ADD("TIMEADD", "a time of day so many units later", "TIME", NULL),
    ADD("TIMESUB", "a time of day so many units earlier", "TIME", minus_mark),
    ADD("TIMESTAMPADD", "a time so many units later", "TIMESTAMP", NULL),
    ADD("TIMESTAMPSUB", "a time so many units earlier", "TIMESTAMP", minus_mark),
};
const func_family func_family_other = {overloads, sizeof overloads / sizeof *overloads};
